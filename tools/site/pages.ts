/** The pages as VitePress takes them: at their places in the checkout, with links that lead somewhere on the site. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join, normalize, relative } from 'node:path';
import { root } from '../../test/support/command.ts';
import { pages, pageText } from '../../test/support/pages.ts';

export interface SidebarGroup {
  text: string;
  collapsed?: boolean;
  items: { text: string; link: string }[];
}

/** Writes all pages, and the files that they link to, into a folder. */
export function layOutPages(to: string): { sidebar: SidebarGroup[]; pages: number } {
  const files = new Set<string>();
  for (const page of pages) write(to, placeOf(page), onSite(page, files));
  for (const path of files) copy(to, path);
  return { sidebar: sidebarOf(), pages: pages.length };
}

/** A folder's README is the folder's page. */
function placeOf(page: string): string {
  return basename(page) === 'README.md' ? join(dirname(page), 'index.md') : page;
}

/** Text outside of blocks and of code: only there is a link a link. */
const prose = /(^```.*?^```$|`[^`\n]+`)/gms;

function onSite(page: string, files: Set<string>): string {
  return pageText(page)
    .split(prose)
    .map((part, index) => (index % 2 === 1 ? part : linked(part.replaceAll(/^<!--.*?-->\n?/gms, ''), page, files)))
    .join('');
}

function linked(text: string, page: string, files: Set<string>): string {
  return text.replaceAll(
    /(!?)\[((?:[^[\]]|\n)*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]+)?\)/g,
    (_, image, words, path, anchor) => {
      const target = normalize(join(page, '..', path));
      const place = placeOnSite(target, files);
      const from = dirname(placeOf(page));
      const link = relative(from, place) || basename(place);
      return `${image}[${words}](${link.startsWith('.') ? link : `./${link}`}${anchor ?? ''})`;
    },
  );
}

/** Where what a page links to stands on the site. */
function placeOnSite(target: string, files: Set<string>): string {
  if (pages.includes(target)) return placeOf(target);
  if (!existsSync(join(root, target))) throw new Error(`a page links to ${target}, which is not there`);
  files.add(target);
  if (statSync(join(root, target)).isDirectory()) return join(target, 'index.md');
  return extname(target) === '.svg' ? target : `${target}.md`;
}

/** A file that is no page becomes one, and so does a folder. */
function copy(to: string, path: string): void {
  const from = join(root, path);
  if (extname(path) === '.svg') write(to, path, readFileSync(from));
  else if (statSync(from).isDirectory()) copyFolder(to, path, from);
  else write(to, `${path}.md`, sourcePage(path));
}

function copyFolder(to: string, path: string, from: string): void {
  const names = readdirSync(from).filter((name) => statSync(join(from, name)).isFile());
  const list = names.map((name) => `- [${name}](./${name}.md)`);
  write(to, join(path, 'index.md'), `# ${path}\n\n${list.join('\n')}\n`);
  for (const name of names) write(to, join(path, `${name}.md`), sourcePage(join(path, name)));
}

const languages: Readonly<Record<string, string>> = { '.ts': 'ts', '.c': 'c', '.h': 'c', '.patch': 'diff' };

function sourcePage(path: string): string {
  const text = readFileSync(join(root, path), 'utf8').trimEnd();
  return `# ${path}\n\n\`\`\`\`${languages[extname(path)] ?? 'txt'}\n${text}\n\`\`\`\`\n`;
}

function write(to: string, place: string, content: string | Buffer): void {
  mkdirSync(dirname(join(to, place)), { recursive: true });
  writeFileSync(join(to, place), content);
}

/** The groups and pages of docs/README.md, and the subjects of the suite. */
function sidebarOf(): SidebarGroup[] {
  const [, map] = /^## The pages\n(.*?)^## /ms.exec(pageText('docs/README.md'))!;
  const groups = map!.split(/^(?=\S.*:$)/m).filter((group) => /^- /m.test(group));
  const fromMap = groups.map((group) => ({
    text: group.slice(0, group.indexOf(':')),
    items: [...group.matchAll(/\[([^\]]+)\]\(([^)#]+)\)/g)].map(([, text, path]) => item(text!, join('docs', path!))),
  }));
  const subjects = pages.filter((page) => page.startsWith('docs/suite/'));
  return [
    { text: 'kvm-dsm', items: [item('README', 'README.md'), item('All pages', 'docs/README.md')] },
    ...fromMap,
    { text: 'Checks of the suite', collapsed: true, items: subjects.map((page) => item(basename(page, '.md'), page)) },
  ];
}

function item(text: string, page: string): { text: string; link: string } {
  const place = placeOf(normalize(page));
  return { text: text.replace(/\.md$/, ''), link: `/${place.replace(/(?:index)?\.md$/, '')}` };
}
