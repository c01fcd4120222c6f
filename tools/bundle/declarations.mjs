// One declaration file for each entry, and few for what several of them have.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { dts } from 'rolldown-plugin-dts';

/** `Uint8Array` has no parameter before TypeScript 5.7. What `of` makes is a `Uint8Array<ArrayBuffer>` since then. */
const forOlder = (text) =>
  text
    .replace(/\b(\w+Array)<ArrayBufferLike>/g, '$1')
    .replace(/\b(\w+Array)<ArrayBuffer>/g, "ReturnType<$1Constructor['of']>");

/** What an entry imports to export it, and does not need itself: named once. */
const inOneList = (text) =>
  text.replace(
    /^import \{ ([^}]+) \} from ("[^"]+");\n([\s\S]*?)export \{ ([^}]+) \};\s*$/,
    (_, given, from, body, exported) => {
      const imported = new Set(given.split(', '));
      const all = exported.split(', ');
      const passed = all.filter((name) => imported.has(bare(name)) && !new RegExp(`\\b${bare(name)}\\b`).test(body));
      const own = all.filter((name) => !passed.includes(name));
      for (const name of passed) imported.delete(bare(name));
      const lists = [
        imported.size > 0 && `import { ${[...imported].join(', ')} } from ${from};\n`,
        body,
        `export { ${passed.join(', ')} } from ${from};\n`,
        own.length > 0 && `export { ${own.join(', ')} };\n`,
      ];
      return lists.filter(Boolean).join('');
    },
  );

const bare = (name) => name.replace(/^type /, '');

/** A comment behind the member before it, on its line, is nobody's for a compiler or an editor. */
const commentsOnTheirLines = (text) => text.replace(/([;{]) (?=\/\*\*)/g, '$1\n');

/** Nobody reads it line by line: a quarter of a megabyte of declarations has twelve thousand bytes of indentation. */
const withoutIndentation = (text) => text.replace(/^[ \t]+/gm, '');

export async function writeDeclarations({ root, out, faces }) {
  const build = await rolldown({
    cwd: root,
    input: Object.fromEntries(faces.map((face) => [face, join(out, `${face}.d.ts`)])),
    external: (name) => !/^[./]/.test(name),
    // What is bundled are declarations, so that no compiler is asked; `oxc` is the one that needs none to be there.
    plugins: [dts({ dtsInput: true, tsconfig: false, oxc: true })],
    checks: { ineffectiveDynamicImport: false, bundlerTimings: false },
  });
  const dir = join(root, 'dist');
  const { output } = await build.write({
    dir,
    format: 'esm',
    entryFileNames: '[name].ts',
    chunkFileNames: 'types/[name].ts',
    minifyInternalExports: false,
    codeSplitting: { groups: [{ name: 'shared.d', minShareCount: 2 }] },
  });
  await build.close();
  for (const { fileName, code } of output)
    writeFileSync(join(dir, fileName), withoutIndentation(commentsOnTheirLines(inOneList(forOlder(code)))));
  // What declarations need of it at run time is nothing.
  rmSync(join(dir, 'types/rolldown-runtime.ts'), { force: true });
}
