import { defineConfig, type Plugin } from "vite";

// Scripts and styles go into index.html, so that the page is one file: browsers load no module beside a page that lies on disk.
function oneFile(): Plugin {
  return {
    name: "one-file",
    enforce: "post",
    generateBundle(_, bundle) {
      const page = bundle["index.html"];
      if (page?.type !== "asset") return;
      let html = String(page.source);
      for (const [name, part] of Object.entries(bundle)) {
        if (part === page) continue;
        const text = part.type === "chunk" ? part.code : String(part.source);
        const tag = part.type === "chunk"
          ? new RegExp(`<script[^>]*src="[^"]*${part.fileName}"[^>]*></script>`)
          : new RegExp(`<link[^>]*href="[^"]*${part.fileName}"[^>]*>`);
        if (!tag.test(html)) this.error(`${name} is not referred to by index.html: it cannot be put into it`);
        const inline = part.type === "chunk"
          ? `<script type="module">${text.replace(/<\/script/g, "<\\/script").replace(/<!--/g, "<\\!--")}</script>`
          : `<style>${text}</style>`;
        html = html.replace(tag, () => inline);
        delete bundle[name];
      }
      // The place for the data is found by this text: it has to be there, once.
      const places = html.split('id="data"></script>').length - 1;
      if (places !== 1) this.error(`the built page has ${places} places for its data`);
      page.source = html;
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [oneFile()],
  build: {
    target: "es2022",
    assetsInlineLimit: 1 << 20,
    cssCodeSplit: false,
    modulePreload: false,
    rollupOptions: { output: { inlineDynamicImports: true } },
  },
});
