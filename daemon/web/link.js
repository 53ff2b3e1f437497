// The line to the daemon: server-sent events, tried again for ever, and honest about its silence.

const SILENCE_MS = 3500;
const REFUSED_AGAIN_MS = 5000;

class Link {
  constructor({ on, onState }) {
    this.on = on;
    this.onState = onState;
    this.heard = null;
    this.refusal = "";
    setInterval(() => this.watch(), 500);
    document.addEventListener("visibilitychange", () =>
      document.hidden ? this.close() : this.open(this.query),
    );
  }

  open(query) {
    this.close();
    this.query = query;
    if (document.hidden) return; // nobody looks: nothing need be made for us
    this.opened = performance.now();
    const source = new EventSource(`/events?${new URLSearchParams(query)}`);
    this.source = source;
    for (const name of ["status", "recent", "frame", "history"]) {
      source.addEventListener(name, (event) => {
        if (name === "status") this.heard = performance.now(); // the rest comes without the loop
        this.refusal = "";
        this.on[name](JSON.parse(event.data));
        this.watch();
      });
    }
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED && source === this.source) this.refused();
    });
  }

  close() {
    clearTimeout(this.again);
    this.source?.close();
    this.source = null;
  }

  // A browser gives up on an answer that is not a stream; we ask why, and then try again.
  async refused() {
    this.close();
    this.again = setTimeout(() => this.open(this.query), REFUSED_AGAIN_MS);
    const stop = new AbortController();
    try {
      const answer = await fetch("/events", { signal: stop.signal });
      this.refusal = answer.ok ? "" : (await answer.text()).trim();
    } catch {
      this.refusal = "";
    } finally {
      stop.abort();
    }
    this.watch();
  }

  watch() {
    if (document.hidden) return;
    const quiet = performance.now() - Math.max(this.heard ?? 0, this.opened ?? 0);
    const silent = this.heard === null || performance.now() - this.heard > SILENCE_MS;
    if (this.refusal) this.onState("refused", this.refusal);
    else if (!silent) this.onState("live");
    else if (quiet > SILENCE_MS)
      this.onState("lost", this.heard === null ? null : (performance.now() - this.heard) / 1000);
  }
}
