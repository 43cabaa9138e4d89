import { render } from "preact";
import { App } from "./app.js";
import { Application } from "./state/application.js";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/start.css";
import "./styles/lobby.css";
import "./styles/call.css";
import "./styles/tile.css";
import "./styles/panels.css";

const application = new Application();
application.route();
addEventListener("hashchange", () => application.route());
addEventListener("pagehide", () => application.unload());
addEventListener("pageshow", ({ persisted }) => {
  // The browser has brought back a page whose call ended as it was left.
  if (persisted) application.route();
});
for (const touch of ["pointerdown", "keydown"]) {
  addEventListener(touch, () => void application.capture.level.wake(), { passive: true });
}

const root = document.getElementById("app");
if (!root) throw new Error("the page has no place for the application");
render(<App application={application} />, root);
