// Follow a daemon from Node: npm install zeromq @msgpack/msgpack; node subscriber.mjs [ENDPOINT [KEYS]]
import { readFileSync } from "node:fs";
import { decode } from "@msgpack/msgpack";
import { Subscriber } from "zeromq";

const [endpoint = "tcp://127.0.0.1:5561", keys] = process.argv.slice(2);
const socket = new Subscriber();
if (keys) {
  const read = (name) => readFileSync(`${keys}/${name}`, "latin1").trim();
  socket.curvePublicKey = read("client.pub");
  socket.curveSecretKey = read("client.key");
  socket.curveServerKey = read("server.pub");
}
socket.subscribe("classification/");
socket.connect(endpoint);
for await (const [, body] of socket) {
  const result = decode(body, { useBigInt64: true }); // stamps are above 2^53
  const confidence = Math.max(0, ...Object.values(result.probs));
  console.log(result.site, `${result.stamp_ns}`, result.label ?? `(${result.abstain})`, confidence.toFixed(2));
}
