// The stream of events, read with fetch: an EventSource could not send a token.

import { open, step, Refusal } from "./api.js";

// The daemon sends a heartbeat every 15 s.
const SILENCE = 40000;

/** Listen until the stream ends, which raises Refusal. `opened` is called once it is open. */
export async function listen(received, opened, signal) {
  const response = await open("api/v1/events", {
    signal,
    headers: { Accept: "text/event-stream" },
  });
  opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await step(reader, SILENCE);
    if (done) throw new Refusal(0, "The daemon ended the stream of events.");
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = parse(part);
      if (event) received(event.kind, event.data);
    }
  }
}

function parse(block) {
  let kind = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) kind = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  return data.length ? { kind, data: JSON.parse(data.join("\n")) } : null;
}
