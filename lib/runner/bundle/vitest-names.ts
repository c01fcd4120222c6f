/** What stands for vitest in `kvm-dsm run`. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';

/** The public module that has its tests, over node:test. */
export const AS_VITEST = 'kvm-dsm/vitest';
const NAMESPACE = 'as-vitest';

/**
 * `import 'vitest'` and `import 'kvm-dsm/vitest'` mean node:test in vitest's words, since vitest itself runs files by a server and
 * by processes of its own. `expect` is vitest's, which works by itself.
 */
export function vitestNames(): Plugin {
  return {
    name: NAMESPACE,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^(?:kvm-dsm\/)?vitest$/ }, ({ namespace, resolveDir }) =>
        namespace === NAMESPACE ? undefined : { path: AS_VITEST, namespace: NAMESPACE, pluginData: resolveDir },
      );
      onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ pluginData: resolveDir }) => ({
        contents: `export * from '${AS_VITEST}';\n${expectOf(resolveDir)}`,
        resolveDir,
      }));
    },
  };
}

/** Nothing where there is no vitest: whoever imports `expect` then is told that it is not there. */
function expectOf(folder: string): string {
  let path: string;
  try {
    const vitest = createRequire(join(folder, 'script.js')).resolve('vitest/package.json');
    path = createRequire(vitest).resolve('@vitest/expect');
  } catch {
    return '';
  }
  return `import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from ${JSON.stringify(path)};
    for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin);
    export const { expect } = chai;`;
}
