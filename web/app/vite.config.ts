import { defaultClientConditions, defineConfig } from "vite";

export default defineConfig({
  base: "/",
  resolve: { conditions: ["source", ...defaultClientConditions] },
  server: {
    proxy: { "/v1": { target: "http://localhost:8080", ws: true } },
  },
  build: {
    target: "es2022",
    // The polyfill would be an inline script, which the content security policy refuses.
    modulePreload: { polyfill: false },
    // Data URLs for fonts or scripts are refused by the policy as well; every asset is a file.
    assetsInlineLimit: 0,
  },
});
