/** Brings a machine up that stays, looks at it, and ends it. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Abort } from '../../base/node-shapes.ts';
import { packageRoot, runsFromSource } from '../../base/package.ts';
import type { LabStage } from '../boot/options.ts';
import { prepare, type Wanted } from '../boot/prepare.ts';
import { LabEmulatorError, LabFolderError, LabInterruptedError } from '../errors.ts';
import { onDisk } from '../file-errors.ts';
import { type LaneName, laneNames } from '../lanes/index.ts';
import { makeWarmFolder, warmFolder } from '../work-folder.ts';
import { connectKeeper, type KeeperConnection, LOG, pidFile } from './connection.ts';
import { misfits } from './fit.ts';
import { ask, fitOf, type KeeperAnswer, type KeeperOptions, readAnswer, type WarmStatus } from './protocol.ts';
import { KEEP_MACHINE, LISTENING } from './words.ts';

/** How long an answer may take that needs no boot, in ms. */
const ANSWER = 10_000;
const BOOT = 240_000;
/** How long the process may take to start. */
const START = 60_000;

/** After so many minutes without a command a machine ends. */
export const DEFAULT_IDLE_MINUTES = 30;

/** Boots a machine that stays, unless it is up already. Answers when it waits for commands. */
export function raiseMachine(
  wanted: Wanted & { idleMinutes?: number | undefined },
  onStage: (stage: LabStage) => void = () => {},
): Promise<{ status: WarmStatus; wasUp: boolean }> {
  return onDisk(async () => {
    const { lane, cmdline, emulator, idleMinutes = DEFAULT_IDLE_MINUTES, report = () => {}, signal } = wanted;
    onStage('parts');
    const parts = await prepare(wanted);
    onStage('boot');
    const up = await keptFit(lane);
    if (up && up.status.idleMinutes === idleMinutes && misfits(up.fit, fitOf(parts, cmdline)).length === 0)
      return { status: await booted(lane, signal), wasUp: true };
    if (up) {
      report(`the ${lane} machine that is up is another one: it ends`);
      await lowerMachine(lane);
    }
    await startKeeper({ lane, kernel: parts.kernel, isOwnKernel: parts.isOwnKernel, cmdline, emulator, idleMinutes });
    try {
      return { status: await booted(lane, signal), wasUp: false };
    } catch (error) {
      if (error instanceof LabInterruptedError) await lowerMachine(lane);
      throw error;
    }
  });
}

/** What is known of a lane's machine; `null` if none is up. */
export async function warmStatus(lane: LaneName): Promise<WarmStatus | null> {
  const answer = await question(lane, ask('status'), ANSWER);
  return answer?.type === 'status' ? answer.status : null;
}

async function keptFit(lane: LaneName) {
  // Nothing is as this.
  const nothing = { kernel: '', cmdline: '', emulator: '', package: '' };
  const answer = await question(lane, ask('run', nothing), ANSWER);
  return answer?.type === 'misfit' ? answer : null;
}

async function booted(lane: LaneName, signal: Abort | undefined): Promise<WarmStatus> {
  const answer = await question(lane, ask('wait'), BOOT, signal);
  if (answer === null && signal?.aborted)
    throw new LabInterruptedError('interrupted while the machine booted', { advice: 'Run it again.' });
  if (answer?.type === 'status') return answer.status;
  const why = answer?.type === 'failed' ? answer.message : 'the process that keeps it has ended';
  throw new LabEmulatorError(`the ${lane} machine did not come up: ${why}`, {
    advice: `Run something with --on ${lane}: that boots one of its own, and says more.`,
  });
}

/** Ends a lane's machine, whatever it does. Answers false if none was up. */
export async function lowerMachine(lane: LaneName): Promise<boolean> {
  const connection = await connectKeeper(lane);
  if (connection === null) return false;
  connection.send('ask', ask('down'));
  if (
    await within(
      ANSWER,
      connection.closed.then(() => true),
    )
  )
    return true;
  connection.destroy();
  killKeeper(lane);
  return true;
}

/** Ends those of all lanes; answers their names. */
export async function lowerMachines(lanes: readonly LaneName[] = laneNames): Promise<LaneName[]> {
  const ended: LaneName[] = [];
  for (const lane of lanes) if (await lowerMachine(lane)) ended.push(lane);
  return ended;
}

/** One that does not answer: its machine ends with it. */
function killKeeper(lane: LaneName): void {
  const dir = warmFolder(lane);
  if (dir === undefined) return;
  try {
    const pid = Number(readFileSync(pidFile(dir), 'ascii'));
    const isKeeper = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(KEEP_MACHINE);
    if (isKeeper) process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Starts the process that keeps a machine. Resolves when it can be asked; its machine boots then. */
export function startKeeper(options: KeeperOptions): Promise<void> {
  const dir = makeWarmFolder(options.lane);
  if (dir === undefined) {
    return Promise.reject(
      new LabFolderError('there is no folder that only you can enter, and a machine that stays needs one', {
        advice: 'Set XDG_RUNTIME_DIR, or let XDG_CACHE_HOME name a folder that is yours alone.',
      }),
    );
  }
  const log = openSync(join(dir, LOG), 'w');
  const main = join(packageRoot, runsFromSource ? 'lib/cli/main.ts' : 'dist/cli/main.js');
  const child = spawn(process.execPath, [...process.execArgv, main, KEEP_MACHINE, JSON.stringify(options)], {
    cwd: '/',
    stdio: ['ignore', 'pipe', log],
    // It has a session of its own: it stays when the terminal goes.
    detached: true,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    const failed = (why: string) => {
      child.stdout!.destroy();
      reject(
        new LabEmulatorError(`the process that keeps the ${options.lane} machine did not start: ${why}`, {
          advice: `Look at ${join(dir, LOG)}.`,
        }),
      );
    };
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      failed(`it said nothing for ${START / 1000} s`);
    }, START);
    let said = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (!said.includes('\n')) return;
      clearTimeout(late);
      child.unref();
      child.stdout!.destroy();
      resolve();
    });
    child.once('error', (error) => failed(error.message));
    child.once('exit', (code) => {
      clearTimeout(late);
      if (!said.startsWith(LISTENING)) failed(`it ended with ${code}: ${readFileSync(join(dir, LOG), 'utf8').trim()}`);
    });
  });
}

/** Asks, and answers the first answer that is one. */
async function question(
  lane: LaneName,
  text: string,
  ms: number,
  signal?: Abort | undefined,
): Promise<KeeperAnswer | null> {
  const connection = await connectKeeper(lane);
  if (connection === null) return null;
  const leave = () => connection.destroy();
  signal?.addEventListener('abort', leave);
  if (signal?.aborted) leave();
  try {
    return await within(ms, firstAnswer(connection, text));
  } finally {
    signal?.removeEventListener('abort', leave);
    leave();
  }
}

function firstAnswer(connection: KeeperConnection, text: string): Promise<KeeperAnswer | null> {
  return new Promise((resolve) => {
    connection.closed.then(() => resolve(null));
    connection.listen(({ kind, data }) => {
      const answer = kind === 'answer' ? readAnswer(data) : null;
      if (answer && answer.type !== 'queued') resolve(answer);
    });
    connection.send('ask', text);
  });
}

async function within<T>(ms: number, work: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
