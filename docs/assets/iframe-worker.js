// Browsers start no worker for a page that was opened from a file. The search's worker is run in a hidden
// frame of the same page instead: it gets the same messages, and its answers come back in the same way.
// It works where the page does, so it begins when somebody turns to the search, not with every page.
// This file's name holds "iframe-worker", by which the offline plugin knows that none has to be fetched.
// A dash in front of a word would leave out what has it. An option, as in --read, is to be there instead,
// and first where it is explained: under the headings of commands, which all begin with truing.
const QUERY = 2; // the kind of message that a search is
const asked = message => {
  if (message?.type !== QUERY) return message;
  const data = message.data.replace(/(^|\s)-+(?=\w)/g, "$1+");
  return { ...message, data: data === message.data ? data : `${data} title:truing^100` };
};
if (location.protocol !== "file:") {
  window.Worker = class extends Worker {
    postMessage(data, ...more) { super.postMessage(asked(data), ...more); }
  };
} else {
  class IFrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.url = new URL(url, location);
      this.waiting = []; // messages from before the script is loaded
      const begin = event => {
        if (!event.target.closest?.(".md-search, [for=__search]")) return;
        for (const kind of ["focusin", "click"]) document.removeEventListener(kind, begin, true);
        this.begin();
      };
      for (const kind of ["focusin", "click"]) document.addEventListener(kind, begin, true);
    }

    begin() {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.title = "search";
      this.frame.addEventListener("load", () => this.start(), { once: true });
      document.body.append(this.frame);
    }

    start() {
      const inside = this.frame.contentWindow;
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.document.createElement("script");
      script.src = this.url;
      script.addEventListener("load", () => {
        const { waiting } = this;
        this.waiting = undefined;
        waiting.forEach(data => this.postMessage(data));
      });
      inside.document.body.append(script);
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data: asked(data) }));
    }

    terminate() {
      this.frame?.remove();
    }
  }
  window.IFrameWorker = window.Worker = IFrameWorker; // the worker looks for the first name
}
