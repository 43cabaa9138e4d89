import { effect, type Signal, signal } from "@preact/signals";

/** A signal whose value is remembered between visits. */
function remembered<T extends string | boolean>(key: string, initial: T): Signal<T> {
  const preference = signal<T>(initial);
  const stored = read(`peerage.${key}`);
  if (typeof stored === typeof initial) preference.value = stored as T;
  effect(() => write(`peerage.${key}`, preference.value));
  return preference;
}

/** Storage may be switched off; then a preference lasts as long as the page. */
function read(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch (error) {
    console.warn(`the preference ${key} cannot be read`, error);
    return null;
  }
}

function write(key: string, value: unknown): void {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch (error) {
    console.warn(`the preference ${key} cannot be kept`, error);
  }
}

/** What a person has chosen, from one call to the next. */
export class Preferences {
  readonly name = remembered<string>("name", "");
  readonly relayOnly = remembered<boolean>("relay", false);
  readonly camera = remembered<string>("camera", "");
  readonly microphone = remembered<string>("microphone", "");
  readonly speaker = remembered<string>("speaker", "");
  readonly cameraOn = remembered<boolean>("cameraOn", true);
  readonly microphoneOn = remembered<boolean>("microphoneOn", true);
}
