// What bench_widgets.py puts into the page before anything else runs there: it counts the bytes on
// every websocket, and takes the time from an input event until its effect has been drawn.
//
// Drawn means: the browser has finished the frame that shows the change. A message posted from an
// animation frame is delivered after that frame's style, layout, paint and commit.

(() => {
  const bytes = { received: 0, sent: 0 };
  let heard = 0; // when the last message came or went
  const sizeOf = (data) =>
    typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength ?? data.size;

  window.WebSocket = class extends window.WebSocket {
    constructor(...address) {
      super(...address);
      this.addEventListener("message", ({ data }) => {
        bytes.received += sizeOf(data);
        heard = performance.now();
      });
    }

    send(data) {
      bytes.sent += sizeOf(data);
      heard = performance.now();
      super.send(data);
    }
  };

  const waiting = [];
  const channel = new MessageChannel();
  channel.port1.onmessage = () => waiting.shift()(performance.now());
  const afterThisFrame = (act) => (waiting.push(act), channel.port2.postMessage(null));
  const afterNextFrame = (act) => requestAnimationFrame(() => afterThisFrame(act));

  let marks, observers, forget;

  /** From now on note the last event of a type, and when what is watched was last drawn anew.
   *
   * watched: name to { selector, attribute }: that attribute was written while a frame was drawn;
   *          { selector, attribute, early: true }: it was written before the frame;
   *          { selector, picture: true }: another <img>, counted once it is decoded and drawn;
   *          { selector }: its text.
   */
  function start(type, watched) {
    stop();
    marks = { events: 0, drawn: {}, bytes: { ...bytes }, changed: performance.now() };
    const noted = (event) => {
      marks.events += 1;
      marks.stamp = event.timeStamp; // when the browser got it
      marks.dispatch = performance.now(); // when the page got it
    };
    window.addEventListener(type, noted, true);
    forget = () => window.removeEventListener(type, noted, true);
    observers = Object.entries(watched).map(([name, what]) => watch(name, what, marks));
  }

  function watch(name, { selector, attribute, early, picture }, marks) {
    const node = document.querySelector(selector);
    if (!node) throw new Error(`nothing on the page is ${selector}`);
    const note = (now) => (marks.drawn[name] = now);
    const observer = new MutationObserver(async () => {
      marks.changed = performance.now();
      if (attribute && !early) return afterThisFrame(note);
      if (picture) await node.querySelector("img")?.decode();
      afterNextFrame(note);
    });
    const text = { childList: true, characterData: true, subtree: true };
    observer.observe(node, attribute ? { attributeFilter: [attribute] } : text);
    return observer;
  }

  function stop() {
    observers?.forEach((observer) => observer.disconnect());
    forget?.();
  }

  /** Wait until everything watched was drawn, and nothing changed, came or went for `quiet` ms. */
  async function settled(quiet, limit = 20_000) {
    const end = performance.now() + limit;
    const names = observers.length;
    const calm = () =>
      Object.keys(marks.drawn).length === names &&
      performance.now() - Math.max(marks.changed, heard, ...Object.values(marks.drawn)) > quiet;
    while (!calm()) {
      if (performance.now() > end)
        throw new Error(`drawn after ${limit} ms: ${Object.keys(marks.drawn)}, of ${names}`);
      await new Promise((go) => setTimeout(go, 10));
    }
    stop();
    const { events, stamp, dispatch, drawn } = marks;
    const received = bytes.received - marks.bytes.received;
    return { events, stamp, dispatch, drawn, received, sent: bytes.sent - marks.bytes.sent };
  }

  window.stopwatch = { start, settled, bytes };
})();
