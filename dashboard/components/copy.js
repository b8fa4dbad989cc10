// The button that puts a text on the clipboard.

import { el, setText } from "./base.js";

const SAID_MS = 2000;

/** text(): what is copied. instead: what the button says where there is no clipboard, which is so on pages without https other than of this machine. */
export function copyButton(label, { text, title, instead = "Select and copy" }) {
  const words = el("span", { role: "status" }, label);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      setText(words, "Copied");
    } catch {
      setText(words, instead);
    }
    setTimeout(() => setText(words, label), SAID_MS);
  };
  return el("button", { class: "button", type: "button", title, "data-choice": `copy:${label}`, onclick: copy }, words);
}
