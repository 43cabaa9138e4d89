import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import { connect } from "node:net";

/** A network between page and server that does not pass everything. */
export class ObstructingProxy {
  #listener;
  #target;
  #agent = new Agent({ keepAlive: true });
  /** Whether WebSockets pass. */
  sockets = false;
  /** Whether answers that do not end pass before their end. */
  streams = true;
  /** For how many milliseconds an answer may be waited for. */
  patience = Infinity;
  /** What was asked for, by path. */
  asked = new Map();
  /** How often the page has said no more than that it is there: by an empty array. */
  answered = 0;
  #streams = new Set();
  #upgraded = new Set();

  static async before(server) {
    const proxy = new ObstructingProxy();
    proxy.#target = { host: "127.0.0.1", port: server.port };
    proxy.#listener = createServer((page, answer) => proxy.#pass(page, answer));
    proxy.#listener.on("upgrade", (page, socket, head) => proxy.#upgrade(page, socket, head));
    proxy.#listener.listen(0, "127.0.0.1");
    await once(proxy.#listener, "listening");
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#listener.address().port}`;
  }

  /** Breaks every stream of events there is. */
  cutStreams() {
    for (const answer of this.#streams) answer.destroy();
  }

  async close() {
    this.#agent.destroy();
    // These the listener knows no longer, and waits for all the same.
    for (const socket of this.#upgraded) socket.destroy();
    this.#listener.closeAllConnections();
    this.#listener.close();
    await once(this.#listener, "close");
  }

  #pass(page, answer) {
    const path = page.url.split("?")[0];
    this.asked.set(path, (this.asked.get(path) ?? 0) + 1);
    const { method, headers, url } = page;
    if (path === "/v1/messages" && headers["content-length"] === "2") this.answered += 1;
    const onward = request({ ...this.#target, agent: this.#agent, method, headers, path: url });
    const late =
      this.patience === Infinity ? undefined : setTimeout(() => onward.destroy(), this.patience);
    onward.on("response", (response) => {
      clearTimeout(late);
      answer.writeHead(response.statusCode, response.headers);
      if (this.streams || path !== "/v1/events") response.pipe(answer);
      else answer.flushHeaders();
    });
    onward.on("error", () => answer.destroy());
    if (path === "/v1/events") this.#streams.add(answer);
    answer.on("close", () => {
      this.#streams.delete(answer);
      onward.destroy();
    });
    page.pipe(onward);
  }

  #upgrade(page, socket, head) {
    if (!this.sockets) {
      socket.destroy();
      return;
    }
    const server = connect(this.#target);
    this.#upgraded.add(socket);
    socket.on("close", () => {
      this.#upgraded.delete(socket);
      server.destroy();
    });
    const lines = page.rawHeaders.reduce(
      (text, word, index) => text + word + (index % 2 === 0 ? ": " : "\r\n"),
      "",
    );
    server.write(`GET ${page.url} HTTP/1.1\r\n${lines}\r\n`);
    server.write(head);
    for (const end of [socket, server]) end.on("error", () => socket.destroy() && server.destroy());
    socket.pipe(server).pipe(socket);
  }
}
