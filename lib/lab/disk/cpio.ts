/** Archives in the kernel's `newc` format: an initial RAM disk. */

/** One entry of an initramfs. */
export interface CpioEntry {
  /** Without a leading slash. */
  path: string;
  /** Type and permission bits, such as 0o100755. */
  mode: number;
  data?: Uint8Array | string;
}

const directory = 0o040755;
const symlink = 0o120777;

/** A folder. */
export const cpioDirectory = (path: string): CpioEntry => ({ path, mode: directory });

/** A symbolic link. */
export const cpioLink = (path: string, target: string): CpioEntry => ({ path, mode: symlink, data: target });

/** A file. */
export const cpioFile = (path: string, data: Uint8Array | string, executable = false): CpioEntry => ({
  path,
  mode: executable ? 0o100755 : 0o100644,
  data,
});

/**
 * Packs entries in the kernel's `newc` format. The folders above an entry are added where they are missing. Such
 * archives may follow one another.
 */
export function packCpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  let inode = 0;
  const seen = new Set<string>();
  const put = (entry: CpioEntry) => {
    const data = entry.data === undefined ? Buffer.alloc(0) : Buffer.from(entry.data as Uint8Array);
    const name = Buffer.from(`${entry.path}\0`);
    inode += 1;
    const fields = [inode, entry.mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
    parts.push(padded(Buffer.concat([Buffer.from(header), name])), padded(data));
  };
  for (const entry of entries) {
    const steps = entry.path.split('/');
    for (let length = 1; length < steps.length; length++) {
      const parent = steps.slice(0, length).join('/');
      if (!seen.has(parent)) {
        seen.add(parent);
        put(cpioDirectory(parent));
      }
    }
    if (entry.mode === directory && seen.has(entry.path)) continue;
    seen.add(entry.path);
    put(entry);
  }
  put({ path: 'TRAILER!!!', mode: 0 });
  return Buffer.concat(parts);
}

function padded(data: Buffer): Buffer {
  const rest = data.length % 4;
  return rest === 0 ? data : Buffer.concat([data, Buffer.alloc(4 - rest)]);
}
