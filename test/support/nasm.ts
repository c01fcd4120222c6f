import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why there is no nasm to compare with; false if there is one. */
export const noNasm: string | false =
  spawnSync('nasm', ['-v']).status === 0 ? false : 'nasm is not installed (Debian package nasm)';

/** The flat binary that nasm makes of the text. */
export function nasm(text: string): Uint8Array {
  const dir = mkdtempSync(join(tmpdir(), 'kvm-dsm-nasm-'));
  try {
    writeFileSync(join(dir, 'in.asm'), text);
    const run = spawnSync('nasm', ['-w-all', '-f', 'bin', '-o', 'out.bin', 'in.asm'], { cwd: dir, encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`nasm refused the text:\n${run.stderr.slice(0, 2000)}`);
    return new Uint8Array(readFileSync(join(dir, 'out.bin')));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
