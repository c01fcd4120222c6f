// One declaration file for each entry, and few for what several of them have.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { dts } from 'rolldown-plugin-dts';

export async function writeDeclarations({ root, out, faces }) {
  const build = await rolldown({
    cwd: root,
    input: Object.fromEntries(faces.map((face) => [face, join(out, `${face}.d.ts`)])),
    external: (name) => !/^[./]/.test(name),
    // What is bundled are declarations, so that no compiler is asked; `oxc` is the one that needs none to be there.
    plugins: [dts({ dtsInput: true, tsconfig: false, oxc: true })],
    checks: { ineffectiveDynamicImport: false },
  });
  await build.write({
    dir: join(root, 'dist'),
    format: 'esm',
    entryFileNames: '[name].ts',
    chunkFileNames: 'types/[name].ts',
    codeSplitting: { groups: [{ name: 'shared.d', minShareCount: 2 }] },
  });
  await build.close();
  // What declarations need of it at run time is nothing.
  rmSync(join(root, 'dist/types/rolldown-runtime.ts'), { force: true });
}
