import { defineConfig } from "vite";
import { licenses } from "./licenses.ts";

export default defineConfig({
  base: "/ui/",
  build: {
    outDir: "assets",
    assetsDir: "static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 500,
  },
  plugins: [licenses()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  // `npx vite` shows the page with the data of a server on port 8000
  server: { proxy: { "^/(?!ui/)": "http://localhost:8000" } },
});
