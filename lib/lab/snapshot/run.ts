/** Runs a command in a machine of its own that goes on from a snapshot, without a boot. */
import { Interruption } from '../boot/interruption.ts';
import { isOwnCommand, makeJob } from '../disk/initramfs.ts';
import { LabBootError } from '../errors.ts';
import { JOB_BYTES } from '../lanes/lane.ts';
import type { MachineChannel } from '../warm/kept-machine.ts';
import type { KeptEvents, KeptProcess } from '../warm/kept-process.ts';
import { type KeptCommand, runKept } from '../warm/run-kept.ts';
import type { Message } from '../warm/wire.ts';
import { removeSnapshot } from './snapshot.ts';
import { startFromSnapshot, wantsSnapshots } from './start.ts';

/** The exit code of the command; `null` if it needs a boot. */
export async function runFromSnapshot(asked: KeptCommand): Promise<number | null> {
  if (!wantsSnapshots()) return null;
  const { parts, options, command } = asked;
  const job = makeJob(command);
  // The random numbers of another program would be those of the snapshot.
  if (!isOwnCommand(command) || job.length > JOB_BYTES) return null;
  const report = options.report ?? (() => {});
  const channel = new OwnChannel();
  const interruption = new Interruption(options.signal);
  const abort = new AbortController();
  interruption.watch({ kill: () => abort.abort() });
  let kept: KeptProcess | null = null;
  options.onStage?.('boot');
  try {
    kept = await startFromSnapshot(parts, options.cmdline, channel.events, report, abort.signal);
    interruption.check();
    if (kept === null) return null;
    channel.machine = kept;
    asked.timings?.ended('resume');
    return await runKept(channel, kept.turn(), { ...asked, job, interruption });
  } catch (error) {
    if (!(error instanceof LabBootError)) throw error;
    if (kept?.resumedFrom) removeSnapshot(kept.resumedFrom);
    report(`the machine was lost before the command began (${error.message.split('\n', 1)[0]}): another one is booted`);
    return null;
  } finally {
    await kept?.end();
    interruption.done();
  }
}

/** To a machine of this process. */
class OwnChannel implements MachineChannel {
  readonly closed = new Promise<void>(() => {});
  machine: KeptProcess | undefined;
  #listener: (message: Message) => void = () => {};

  readonly events: KeptEvents = {
    idle() {},
    lost: ({ how }) => this.#listener({ kind: 'ended', data: Buffer.from(how) }),
    bytes: (kind, data) => this.#listener({ kind, data }),
  };

  listen(listener: (message: Message) => void): void {
    this.#listener = listener;
  }

  send(kind: Message['kind'], data: Uint8Array | string = ''): void {
    if (kind === 'archive') this.machine!.bring(Buffer.from(data));
    else if (kind === 'begin') this.machine!.begin(Buffer.from(data));
    else if (kind === 'kill') this.machine!.kill();
  }
}
