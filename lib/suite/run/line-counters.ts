/** How often each line of KVM was run: what a kernel with CONFIG_GCOV_KERNEL tells in debugfs. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { KernelCountersError } from '../errors.ts';

/** Source: Documentation/dev-tools/gcov.rst. */
const ROOT = '/sys/kernel/debug/gcov';

export class LineCounters {
  readonly #root: string;
  /** By file. */
  readonly #paths: ReadonlyMap<string, string>;

  /**
   * @param files relative to the kernel's tree, without their endings, such as `arch/x86/kvm/lapic`
   * @throws KernelCountersError if the kernel does not count those
   */
  constructor(files: readonly string[], root = ROOT) {
    this.#root = root;
    const all = countersIn(root);
    this.#paths = new Map(
      files.map((file) => {
        const path = all.find((name) => name.endsWith(`/${file}.gcda`));
        if (path !== undefined) return [file, path];
        throw new KernelCountersError(`this kernel does not count the lines of ${file}.c: ${root} has no ${file}.gcda`);
      }),
    );
  }

  /** Begins anew. */
  clear(): void {
    writeFileSync(join(this.#root, 'reset'), '0');
  }

  /** By file: its counters in gcov's own format (.gcda), deflated, in base64. */
  read(): Record<string, string> {
    return Object.fromEntries(
      [...this.#paths].map(([file, path]) => [file, deflateRawSync(readFileSync(path)).toString('base64')]),
    );
  }
}

/** Absolute paths of all counters: below the root each has the path that its object had when it was compiled. */
function countersIn(root: string): string[] {
  try {
    return readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.gcda'))
      .map((name) => join(root, name));
  } catch (error) {
    throw new KernelCountersError(`${root} cannot be read: ${(error as Error).message}`);
  }
}
