/** `npm run docs`: a static site that has every page, can be searched, and asks no other host for anything. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runProgram } from '../support/command.ts';
import { pages, pageText } from '../support/pages.ts';

const NO_PACKAGES = 3;
const site = mkdtempSync(join(tmpdir(), 'kvm-dsm-site-'));
after(() => rmSync(site, { recursive: true }));

const read = (path: string): string => readFileSync(join(site, path), 'utf8');
const leads = (path: string, anchor: string): boolean => {
  const file = `.${path.endsWith('/') ? `${path}index.html` : path}`;
  if (!existsSync(join(site, file))) return false;
  return anchor === '' || read(file).includes(` id="${anchor}"`);
};
const filesWith = (extension: string): string[] =>
  readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith(extension));

describe('the site', () => {
  let missing = false;
  before(() => {
    const { code, stdout, stderr } = runProgram('npm', ['run', '-s', 'docs', '--', site], 900);
    missing = code === NO_PACKAGES;
    if (!missing) assert.equal(code, 0, stdout + stderr);
    else console.error(stderr);
  });
  const whenBuilt = (name: string, run: () => void) =>
    test(name, (context) => (missing ? context.skip('npm cannot fetch what builds it') : run()));

  whenBuilt('every page is there, with its heading', () => {
    for (const page of pages) {
      const place = basename(page) === 'README.md' ? join(dirname(page), 'index.html') : page.replace(/\.md$/, '.html');
      const [, heading] = /^# (.*)$/m.exec(pageText(page))!;
      const [, shown] = /<h1[^>]*>(.*?)<a /s.exec(read(place)) ?? [];
      const plain = shown
        ?.replaceAll(/<[^>]+>/g, '')
        .replaceAll('&#39;', "'")
        .trim();
      assert.equal(plain, heading!.replaceAll('`', ''), page);
    }
  });

  whenBuilt('what a page shows as code or as text is not taken for HTML', () => {
    assert.match(read('index.html'), /&lt;bzImage&gt;/);
    assert.doesNotMatch(read('docs/vfio.html'), /before: import/, 'a comment is not shown');
  });

  whenBuilt('no page loads anything from another host', () => {
    const loads = /<(?:script|link|img|iframe|source|video|audio)\b[^>]*\b(?:src|href)="(?:https?:)?\/\/[^"]*"/g;
    for (const page of filesWith('.html')) assert.deepEqual(read(page).match(loads) ?? [], [], page);
    for (const style of filesWith('.css'))
      assert.deepEqual(read(style).match(/@import|url\(["']?(?:https?:)?\/\/[^)]*\)/g) ?? [], [], style);
    for (const code of filesWith('.js'))
      assert.deepEqual(read(code).match(/(?:import|fetch)\(?["'`]https?:[^"'`]*/g) ?? [], [], code);
  });

  whenBuilt('each link within the site leads to a page, and to a heading of it', () => {
    const broken = filesWith('.html').flatMap((page) =>
      [...read(page).matchAll(/<a\b[^>]*\bhref="([^":]*)"/g)]
        .map(([, link]) => new URL(link!, `http://site/${page}`))
        .filter(({ pathname, hash }) => !leads(pathname, decodeURIComponent(hash.slice(1))))
        .map(({ pathname, hash }) => `${page}: ${pathname}${hash}`),
    );
    assert.deepEqual(broken, []);
  });

  whenBuilt('the search knows words of the pages, and the subjects of the suite', () => {
    const [index] = filesWith('.js').filter((path) => path.includes('localSearchIndexroot'));
    assert.ok(index);
    const words = read(index);
    // ERR_NOT_RECEIVED is three words to it.
    for (const word of ['received', 'sipivector', 'shorthand', 'lapic']) assert.ok(words.includes(`"${word}"`), word);
    for (const page of ['/docs/tutorial.html', '/docs/suite/once.html', '/docs/howto/mail.html'])
      assert.ok(words.includes(page), page);
  });

  whenBuilt('the pages of docs/README.md are in the navigation', () => {
    const start = read('docs/index.html');
    for (const page of ['tutorial', 'howto/ci', 'kit', 'findings', 'suite/payload'])
      assert.ok(start.includes(`href="/docs/${page}.html"`), page);
  });
});
