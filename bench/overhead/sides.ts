// The two sides under the shim.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reference, shim } from '../build-c.ts';
import { bundle } from '../bundle.ts';
import { guestArguments } from '../cases/guest.ts';
import type { SideCommand } from '../counts.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

export interface ShimmedSides extends Disposable {
  readonly ours: SideCommand;
  readonly reference: SideCommand;
  /** Paths of node, of its options and of the worker, for a side with a worker of its own. */
  withWorker(entry: string): SideCommand;
}

/**
 * @param callNs what KVM_RUN takes
 * @param flags of node, besides
 */
export function shimmedSides(callNs: number, flags: readonly string[] = []): ShimmedSides {
  const environment = { LD_PRELOAD: shim(), KVM_DSM_BENCH_CALL_NS: String(callNs) };
  const folder = mkdtempSync(join(tmpdir(), 'kvm-dsm-bench-'));
  const withWorker = (entry: string): SideCommand => {
    const path = join(folder, entry.replaceAll('/', '-').replace(/\.ts$/, '.mjs'));
    writeFileSync(path, bundle(entry, root));
    return { command: [process.execPath, '--expose-gc', ...flags, path], environment };
  };
  return {
    ours: withWorker('cases/worker.ts'),
    reference: { command: [reference(), ...guestArguments], environment },
    withWorker,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
