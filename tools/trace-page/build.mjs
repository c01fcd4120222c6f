// Makes dist/trace-page.html.br: the page of `kvm-dsm trace --to html`, with its libraries in it; a trace is put in when it is asked for.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));

/** @param {string} dist */
export async function buildTracePage(dist) {
  const { outputFiles } = await build({
    entryPoints: [join(here, 'page.ts')],
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    target: 'es2022',
    legalComments: 'inline',
  });
  const script = outputFiles[0].text.replaceAll('</script', '<\\/script');
  const page = readFileSync(join(here, 'page.html'), 'utf8');
  const whole = page.replace(/"SCRIPT";?/, () => script);
  writeFileSync(join(dist, 'trace-page.html.br'), brotliCompressSync(whole));
}
