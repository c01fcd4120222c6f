/** Runs a command in the machine that `lab up` keeps, if one is up that fits. */
import { Interruption } from '../boot/interruption.ts';
import type { Parts } from '../boot/prepare.ts';
import { makeJob } from '../disk/initramfs.ts';
import { LabBootError } from '../errors.ts';
import type { LaneName } from '../lanes/index.ts';
import { JOB_BYTES } from '../lanes/lane.ts';
import type { Report } from '../progress.ts';
import { connectKeeper, type KeeperConnection } from './connection.ts';
import { describeMisfits, misfits } from './fit.ts';
import { ask, fitOf, readAnswer, type Turn, type WarmStatus } from './protocol.ts';
import { lowerMachine, startKeeper } from './raise.ts';
import { type KeptCommand, runKept } from './run-kept.ts';

/** How long a command waits for its turn, in ms: about what a machine of its own would take to boot on a busy host. */
const TURN = 15_000;
/** How long for a machine that boots. */
const BOOT = 120_000;

/** The exit code of the command; `null` if there is no machine for it. */
export async function runWarm(asked: KeptCommand): Promise<number | null> {
  const { options } = asked;
  const report = options.report ?? (() => {});
  const job = makeJob(asked.command);
  if (job.length > JOB_BYTES) return null;
  options.onStage?.('turn');
  const interruption = new Interruption(options.signal);
  try {
    return await runInTurn(asked, job, report, interruption);
  } finally {
    interruption.done();
  }
}

async function runInTurn(
  asked: KeptCommand,
  job: Buffer,
  report: Report,
  interruption: Interruption,
): Promise<number | null> {
  const { parts, options, timings } = asked;
  const given = await takeTurn(options.lane, parts, options.cmdline, report, interruption);
  timings?.ended('turn');
  interruption.check();
  if (given === null) return null;
  const { connection, turn } = given;
  for (const note of turn.notes) report(note);
  try {
    const exitCode = await runKept(connection, turn, { ...asked, job, interruption });
    connection.send('done');
    return exitCode;
  } catch (error) {
    // The command has not begun.
    if (!(error instanceof LabBootError)) throw error;
    report(`the warm ${parts.lane.name} machine is lost (${firstLine(error)}): this command boots its own`);
    return null;
  } finally {
    connection.end();
  }
}

interface Given {
  connection: KeeperConnection;
  turn: Turn;
}

/** Waits for a turn on the machine; `null` if there is none, or none to be had. */
async function takeTurn(
  name: LaneName,
  parts: Parts,
  cmdline: string | undefined,
  report: Report,
  interruption: Interruption,
): Promise<Given | null> {
  const own = (why: string) => {
    report(`the warm ${name} machine ${why}: this command boots its own`);
    return null;
  };
  const wanted = fitOf(parts, cmdline);
  for (let replaced = false; ; replaced = true) {
    const connection = await connectKeeper(name);
    if (connection === null) return replaced ? own('did not come up') : null;
    const answer = await askForTurn(connection, ask('run', wanted), interruption);
    if (interruption.came) {
      connection.destroy();
      return null;
    }
    if (answer.type === 'turn') return { connection, turn: answer.turn };
    connection.destroy();
    if (answer.type !== 'misfit') return own(answer.why);
    const names = misfits(answer.fit, wanted);
    const { status } = answer;
    if (names.join() !== 'package' || replaced || status.state === 'busy') return own(`has ${describeMisfits(names)}`);
    report(`${describeMisfits(names)} is here now: the warm ${name} machine is booted again with it`);
    await lowerMachine(name);
    await startKeeper({
      lane: name,
      kernel: parts.kernel,
      isOwnKernel: parts.isOwnKernel,
      cmdline,
      emulator: parts.emulator.path,
      idleMinutes: status.idleMinutes,
    });
  }
}

type TurnAnswer =
  | { type: 'turn'; turn: Turn }
  | { type: 'misfit'; fit: ReturnType<typeof fitOf>; status: WarmStatus }
  | { type: 'none'; why: string };

function askForTurn(connection: KeeperConnection, question: string, interruption: Interruption): Promise<TurnAnswer> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout;
    const over = (answer: TurnAnswer) => {
      clearTimeout(timer);
      resolve(answer);
    };
    const wait = (ms: number, why: string) => {
      clearTimeout(timer);
      timer = setTimeout(() => over({ type: 'none', why }), ms);
    };
    wait(TURN, 'does not answer');
    interruption.watch({ kill: () => over({ type: 'none', why: 'was not waited for' }) });
    connection.closed.then(() => over({ type: 'none', why: 'has just ended' }));
    connection.listen(({ kind, data }) => {
      const answer = kind === 'answer' ? readAnswer(data) : null;
      if (answer?.type === 'turn' || answer?.type === 'misfit') over(answer);
      else if (answer?.type === 'queued' && answer.state !== 'busy')
        wait(BOOT, answer.state === 'booting' ? 'still boots' : 'is not ready again');
      else if (answer?.type === 'queued') wait(TURN, 'runs another command');
      else if (answer?.type === 'failed') over({ type: 'none', why: `did not boot (${answer.message})` });
      else if (answer?.type === 'refused') over({ type: 'none', why: `refuses (${answer.why})` });
    });
    connection.send('ask', question);
  });
}

const firstLine = (error: Error) => error.message.split('\n', 1)[0];
