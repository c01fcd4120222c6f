// The site's VitePress: tools/docs-site.ts copies this beside the pages, and says the rest in KVM_DSM_SITE.
import { slug } from 'github-slugger';
import { defineConfig } from 'vitepress';

const { base, site, sidebar, reference } = JSON.parse(process.env.KVM_DSM_SITE);

export default defineConfig({
  base,
  outDir: site,
  title: 'kvm-dsm',
  description: "Integration tests for KVM's DSM interrupt forwarding",
  lang: 'en',
  lastUpdated: false,
  // The pages are written for GitHub: what looks like HTML is text, and a name such as README.md is no address.
  // Headings have the anchors that they have there.
  markdown: { html: false, linkify: false, anchor: { slugify: slug } },
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      { text: 'Tutorial', link: '/docs/tutorial' },
      { text: 'Pages', link: '/docs/' },
      { text: 'The suite', link: '/docs/suite' },
      // Not a page of VitePress: the browser has to load it.
      ...(reference ? [{ text: 'Reference', link: '/reference/index.html', target: '_self' }] : []),
    ],
    sidebar,
    outline: [2, 3],
  },
});
