// Browsers start no worker for a page that was opened from a file. The search's worker is run in a hidden
// frame of the same page instead: it gets the same messages, and its answers come back in the same way.
// Its name holds "iframe-worker", by which the offline plugin knows that none has to be fetched.
if (location.protocol === "file:") {
  class IFrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.waiting = []; // messages from before the script is loaded
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.title = "search";
      this.frame.addEventListener("load", () => this.start(new URL(url, location)), { once: true });
      // The frame is put in place when the page has a body to put it in.
      if (document.body) document.body.append(this.frame);
      else addEventListener("DOMContentLoaded", () => document.body.append(this.frame));
    }

    start(url) {
      const inside = this.frame.contentWindow;
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.document.createElement("script");
      script.src = url;
      script.addEventListener("load", () => {
        const { waiting } = this;
        this.waiting = undefined;
        waiting.forEach(data => this.postMessage(data));
      });
      inside.document.body.append(script);
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }

    terminate() {
      this.frame.remove();
    }
  }
  window.IFrameWorker = window.Worker = IFrameWorker; // the worker looks for the first name
}
