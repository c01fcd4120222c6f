/** An emulator as a bare machine, without firmware and without a kernel: it runs a ROM, and what comes by its serial line is the answer. */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLine } from '../boot/lines.ts';
import { dropScreen } from '../boot/screen.ts';
import { LabBareError, LabEmulatorError, LabInterruptedError } from '../errors.ts';
import { findEmulator } from '../lanes/find-emulator.ts';
import { lanes } from '../lanes/index.ts';
import { spawnBound } from '../process.ts';
import { makeWorkFolder } from '../work-folder.ts';
import { bareLayouts, ROM_FILE } from './layouts.ts';

/** An emulator that has a local APIC of its own. */
export type BareName = keyof typeof bareLayouts;

export interface BareOptions {
  /** Bytes of the ROM, which ends at 4 GiB: a multiple of 64 KiB. */
  rom: Uint8Array;
  /** What it writes ends with this. */
  until: RegExp;
  /** How long it may take. */
  seconds: number;
  signal: AbortSignal;
}

/**
 * Runs a ROM, and gives what it wrote.
 *
 * @throws LabBareError if it does not come to its end in time; LabEmulatorError; LabInterruptedError
 */
export async function runBare(name: BareName, options: BareOptions): Promise<string> {
  const { rom, until, seconds, signal } = options;
  const lane = lanes.find(({ emulator }) => emulator.kind === name)!;
  const emulator = findEmulator(lane);
  const folder = await makeWorkFolder();
  const dir = folder.path;
  const line = await openLine(dir, 'line1', lane.lineKind, () => {});
  try {
    writeFileSync(join(dir, ROM_FILE), rom);
    const { args, env } = bareLayouts[name](emulator, dir, line);
    const log = openSync(join(dir, 'output.log'), 'w');
    const child = spawnBound(emulator.path, args, { cwd: dir, env, stdio: ['ignore', 'ignore', log], detached: true });
    closeSync(log);
    if (child.pid !== undefined) line.expect(child.pid);
    let text = '';
    let screen: { close(): void } | undefined;
    let limit: NodeJS.Timeout | undefined;
    const title = `${lane.emulator.title} as a bare machine`;
    try {
      return await new Promise<string>((resolve, reject) => {
        const fail = (what: string) => reject(new LabBareError(`${title} ${what}`, tailOf(dir, text), advice));
        child.once('error', (cause) => reject(new LabEmulatorError(`${title} cannot be run`, { ...advice, cause })));
        child.once('exit', (code, by) => fail(`ended by itself (${by ? `signal ${by}` : `exit code ${code}`})`));
        limit = setTimeout(() => fail(`did not come to its end within ${seconds} s`), seconds * 1000);
        const stop = () => reject(new LabInterruptedError('interrupted', { advice: 'Run it again.' }));
        signal.addEventListener('abort', stop, { once: true });
        if (signal.aborted) stop();
        void line.connected.then((socket) => {
          if (child.pid !== undefined) screen = dropScreen(child.pid);
          socket.on('data', (bytes: Buffer) => {
            text += bytes.toString('latin1');
            if (until.test(text.slice(-64))) resolve(text);
          });
          socket.resume();
        });
      });
    } finally {
      clearTimeout(limit);
      screen?.close();
      child.kill('SIGKILL');
    }
  } finally {
    line.close();
    await folder.remove();
  }
}

const advice = { advice: 'Look at the lines above; `kvm-dsm lab status` tells which emulators there are.' };

/** The last of what it wrote, and of what the emulator says. */
function tailOf(dir: string, text: string): string[] {
  const files = ['emulator.log', 'output.log'].flatMap((name) => {
    try {
      return readFileSync(join(dir, name), 'latin1').trimEnd().split('\n').slice(-5);
    } catch {
      return [];
    }
  });
  return [...text.trimEnd().split('\n').slice(-5), ...files].filter((one) => one !== '');
}
