// Copies a sign-in link. Without a secure connection browsers offer no clipboard, so it is selected too.
"use strict";

const link = document.getElementById("link");
const copy = document.getElementById("copy");
const copied = document.getElementById("copied");

async function put() {
  link.select();
  try {
    await navigator.clipboard.writeText(link.value);
    return true;
  } catch {
    return document.execCommand("copy");
  }
}

if (copy) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    copied.textContent = (await put()) ? "Copied" : "It is selected: copy it with your keys.";
  });
}
