/** A machine started of its parts, in a folder of its own. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { JobDisk } from '../lanes/lane.ts';
import type { Report } from '../progress.ts';
import { makeWorkFolder } from '../work-folder.ts';
import { EmulatorProcess } from './emulator-process.ts';
import { type Line, openLine } from './lines.ts';
import type { Parts } from './prepare.ts';
import { fillRunFolder } from './run-folder.ts';

/**
 * A machine and its folder.
 *
 * @internal
 */
export interface Started {
  machine: EmulatorProcess;
  /** How files get into it while it runs, if it was started for that. */
  jobDisk: JobDisk | null;
  /** By which its state is saved and loaded, if it was started for that. */
  monitor: Line | null;
  /** To be called when it has ended, or is to. */
  remove(): Promise<void>;
}

interface StartOptions {
  serves?: boolean;
  state?: { use: 'save' | 'load'; dir: string } | undefined;
  check?: () => void;
  nodeLine?: ((line: Duplex) => void) | undefined;
}

/**
 * Starts a machine.
 *
 * @param initramfs what it begins with
 * @param serves it is to run one command after the other
 * @param state the folder of its state, which is to be saved there or loaded from there
 * @param check called just before the emulator is started
 * @param nodeLine gets one more line, when the emulator has connected to it
 *
 * @internal
 */
export async function startMachine(
  { lane, kernel, emulator, medium }: Parts,
  initramfs: Buffer,
  cmdline: string,
  report: Report,
  { serves = false, state, check = () => {}, nodeLine }: StartOptions = {},
): Promise<Started> {
  const folder = await makeWorkFolder();
  const dir = folder.path;
  const lines: Line[] = [];
  const remove = async () => {
    for (const line of lines) line.close();
    await folder.remove();
  };
  try {
    fillRunFolder(dir, initramfs, medium.path);
    for (const name of ['line1', 'line2', 'line3']) lines.push(await openLine(dir, name, lane.lineKind, report));
    const own = [...lines] as [Line, Line, Line];
    const all: Line[] = [...own];
    if (nodeLine) {
      const line = await openLine(dir, 'line4', lane.lineKind, report);
      lines.push(line);
      all.push(line);
      void line.connected.then((socket) => {
        nodeLine(socket);
        socket.resume();
      });
    }
    let monitor: Line | null = null;
    if (state) {
      for (const name of lane.state!.files) symlinkSync(join(state.dir, name), join(dir, name));
      monitor = await openLine(dir, 'monitor', lane.lineKind, report);
      lines.push(monitor);
    }
    const given = { dir, kernel, cmdline, serves, state: state?.use };
    const { jobDisk = null, ...invocation } = await lane.layOut(emulator, given, all);
    check();
    const machine = new EmulatorProcess(emulator, invocation, dir, own);
    return { machine, jobDisk, monitor, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
