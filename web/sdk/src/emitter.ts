/** Takes an event listener off again. */
export type Unsubscribe = () => void;

type Listener<T> = (event: T) => void;

/**
 * A small typed event emitter. `Events` maps each event's name to what its listeners are given.
 *
 * A listener that throws does not keep the others from being called: the exception is reported the
 * way the browser reports any uncaught one.
 */
export class Emitter<Events> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();

  /** Calls `listener` at every `name` from now on. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): Unsubscribe {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Calls `listener` at the next `name` only. */
  once<Name extends keyof Events>(
    name: Name,
    listener: (event: Events[Name]) => void,
  ): Unsubscribe {
    const off = this.on(name, (event) => {
      off();
      listener(event);
    });
    return off;
  }

  /** @internal */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (listener as Listener<Events[Name]>)(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
