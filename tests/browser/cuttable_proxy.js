import { once } from "node:events";
import { connect, createServer } from "node:net";

/** A network between page and server that can be cut, and can fall silent. */
export class CuttableProxy {
  #listener;
  #target;
  #open = new Set();
  #cut = false;

  static async before(server) {
    const proxy = new CuttableProxy();
    proxy.#target = server.port;
    proxy.#listener = createServer((page) => proxy.#carry(page));
    proxy.#listener.listen(0, "127.0.0.1");
    await once(proxy.#listener, "listening");
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#listener.address().port}`;
  }

  /** Resets all connections and every further one. */
  cut() {
    this.#cut = true;
    for (const { page, server } of this.#open) {
      page.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Lets connections through again. */
  mend() {
    this.#cut = false;
  }

  /** Carries no more byte on the connections there are, and closes none; resets further ones. */
  silence() {
    this.#cut = true;
    for (const { page, server } of this.#open) {
      page.unpipe(server);
      server.unpipe(page);
      page.pause();
      server.pause();
    }
  }

  async close() {
    this.cut();
    this.#listener.close();
    await once(this.#listener, "close");
  }

  #carry(page) {
    if (this.#cut) {
      page.resetAndDestroy();
      return;
    }
    const server = connect(this.#target, "127.0.0.1");
    const pair = { page, server };
    this.#open.add(pair);
    const end = () => {
      this.#open.delete(pair);
      page.destroy();
      server.destroy();
    };
    for (const socket of [page, server]) socket.on("error", end).on("close", end);
    page.pipe(server).pipe(page);
  }
}
