import { useState } from "preact/hooks";
import { announce } from "./live-region";
import { Icon } from "./icon";

/** Copy a text to the clipboard, also where the page has no permission for it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hidden-text";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function CopyButton({ text, label }: { text: string | (() => Promise<string>); label: string }) {
  const [copied, setCopied] = useState(false);
  const onClick = async (): Promise<void> => {
    const done = await copyText(typeof text === "string" ? text : await text());
    announce(done ? "Copied" : "Could not copy");
    setCopied(done);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" class="quiet" onClick={() => void onClick()} aria-label={label} title={label}>
      <Icon name={copied ? "check" : "copy"} />
      <span class="button-text">{copied ? "Copied" : "Copy"}</span>
    </button>
  );
}

/** A command to copy. */
export function Command({ text, label }: { text: string; label: string }) {
  return (
    <div class="command">
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <CopyButton text={text} label={`Copy ${label}`} />
    </div>
  );
}
