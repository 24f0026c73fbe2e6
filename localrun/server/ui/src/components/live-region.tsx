import { useEffect, useState } from "preact/hooks";

let speak: (text: string) => void = () => undefined;

/** Have a screen reader say a short text. */
export function announce(text: string): void {
  speak(text);
}

export function LiveRegion() {
  const [text, setText] = useState("");
  useEffect(() => {
    speak = setText;
    return () => {
      speak = () => undefined;
    };
  }, []);
  return (
    <div class="hidden-text" role="status" aria-live="polite">
      {text}
    </div>
  );
}
