/** What a machine's monitor is asked for, which has to come to an end whatever the machine does. */
import type { Duplex } from 'node:stream';
import { emulatorWords } from '../boot/judgement.ts';
import type { Started } from '../boot/start-machine.ts';
import { LabEmulatorError } from '../errors.ts';

/** How long it may take to write or to read a machine's state, in ms. */
const MOST = 60_000;

/** Throws a LabError if the machine ends meanwhile, takes too long, or nobody wants it any more. */
export async function byMonitor(
  { machine, monitor }: Started,
  act: (socket: Duplex) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const failed = (why: string) => new LabEmulatorError(why, { advice: '' });
  const ended = machine.ended.then((how) => {
    throw failed(`it ended (${how})${emulatorWords(machine.dir)}`);
  });
  ended.catch(() => {});
  let late: NodeJS.Timeout | undefined;
  let stop = () => {};
  const patience = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(failed(`its state took more than ${MOST / 1000} s`)), MOST);
    stop = () => reject(failed('interrupted'));
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
  });
  try {
    await Promise.race([patience, ended, monitor!.connected.then(act)]);
  } finally {
    clearTimeout(late);
    signal?.removeEventListener('abort', stop);
  }
}
