export interface ImageDifference {
  /** Pixels in RGBA: gray where the images are the same, red where they differ. */
  data: Uint8ClampedArray<ArrayBuffer>;
  changed: number;
  /** The largest difference of a channel, of 255. */
  most: number;
}

/** Compare the pixels of two images of the same size, in RGBA. */
export function difference(a: Uint8ClampedArray, b: Uint8ClampedArray): ImageDifference {
  const data = new Uint8ClampedArray(new ArrayBuffer(a.length));
  let changed = 0;
  let most = 0;
  for (let at = 0; at < a.length; at += 4) {
    let by = 0;
    for (let channel = at; channel < at + 4; channel += 1) by = Math.max(by, Math.abs((a[channel] ?? 0) - (b[channel] ?? 0)));
    const gray = ((a[at] ?? 0) + (a[at + 1] ?? 0) + (a[at + 2] ?? 0)) / 3;
    data[at] = by ? 128 + by / 2 : gray * 0.35;
    data[at + 1] = by ? 30 : gray * 0.35;
    data[at + 2] = by ? 40 : gray * 0.35;
    data[at + 3] = 255;
    if (by) changed += 1;
    most = Math.max(most, by);
  }
  return { data, changed, most };
}
