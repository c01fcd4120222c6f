/** What `kvm-dsm run` says of a script's runs. */
import { jsonText } from '../base/text.ts';
import { forwardsIpi, isDsmExit } from '../exit/dsm.ts';
import { print } from '../target/output.ts';
import { paint } from '../target/paint.ts';
import { describeTarget } from '../target/target.ts';
import { isExit, type TraceEvent } from '../trace/event.ts';
import { eventToJson } from '../trace/json.ts';
import { describeEvent } from '../trace/text.ts';
import type { Finding } from './findings.ts';
import { type FrameKind, frames } from './frames.ts';
import type { ParsedRun, RunBegin, ScriptOutcome } from './protocol.ts';

/** What `kvm-dsm run` prints while a script runs. */
export interface ScriptReporter {
  start(): void;
  /** A run begins. */
  begins(begin: RunBegin): void;
  event(event: TraceEvent): void;
  finding(finding: Finding): void;
  /** A person should know. */
  note(text: string): void;
  /** Run number `run`, from 1, is over. */
  ran(outcome: ScriptOutcome, run: number): void;
  /** All is over: with the exits of all runs, and what came of the last. */
  ended(outcome: ScriptOutcome, run: number): void;
}

/** How many of the last exits of a run among several are shown if it fails. */
const KEPT = 100;

/** One JSON object per line, or words for a person. */
export function scriptReporter(run: ParsedRun): ScriptReporter {
  const reporter = run.options.json ? jsonReporter(run) : textReporter(run);
  // Several runs find the same; once is enough.
  const found = new Set<string>();
  return {
    ...reporter,
    finding(finding) {
      if (!found.has(finding.message)) reporter.finding(finding);
      found.add(finding.message);
    },
  };
}

type Say = (text: string, kind?: FrameKind, code?: number) => void;

/** At once, or in frames for the process that judges this one. */
function sayOf({ secret }: ParsedRun): Say {
  return (text, kind = 'line', code = 0) => {
    if (secret !== null) print(frames(secret, kind, text, code));
    else if (kind !== 'begins') print(`${text}\n`);
  };
}

const begins = (say: Say) => (begin: RunBegin) => say(JSON.stringify(begin), 'begins');

function kindOf(event: TraceEvent): FrameKind {
  if (!isExit(event)) return 'line';
  return forwardsIpi(event.exit) ? 'forwarded' : 'exit';
}

function jsonReporter(parsed: ParsedRun): ScriptReporter {
  const { options, ownProcess } = parsed;
  const { repeat, seed } = options;
  const say = sayOf(parsed);
  const line = (value: Record<string, unknown>, kind?: FrameKind, code?: number) => say(jsonText(value), kind, code);
  return {
    start() {},
    begins: begins(say),
    event: (event) => line(eventToJson(event), kindOf(event)),
    finding({ id, message, advice }) {
      line({ type: 'finding', id, message, advice });
    },
    note: (text) => line({ type: 'note', text }),
    ran({ failure, exits, seed }, run) {
      if (repeat > 1 && !ownProcess) line({ type: 'run', run, of: repeat, seed, ok: !failure, exits });
    },
    ended({ failure, exits, seeded, seed: last }, run) {
      const ok = !failure;
      const result = {
        type: 'result',
        ok,
        exits,
        ...(repeat > 1 ? { runs: run } : {}),
        ...(repeat > 1 || seeded || seed !== undefined ? { seed: last } : {}),
        ...(failure ? { error: failure.json } : {}),
      };
      line(result, 'result', failure?.exitCode);
    },
  };
}

function textReporter(parsed: ParsedRun): ScriptReporter {
  const { options, ownProcess, commandLine } = parsed;
  const { repeat, seed } = options;
  const held: string[] = [];
  let left = 0;
  const say = sayOf(parsed);
  return {
    start() {
      say(paint('dim', `on ${describeTarget()}`));
    },
    begins: begins(say),
    event(event) {
      const text = describeEvent(event);
      const words = isExit(event) && isDsmExit(event.exit) ? paint('bold', text) : text;
      if (repeat === 1) return void say(words, kindOf(event));
      held.push(words);
      if (held.length > KEPT) left += held.splice(0, 1).length;
    },
    finding({ message, advice }) {
      say(`${paint('yellow', 'finding')}: ${message}\n  ${paint('cyan', '->')} ${advice}`);
    },
    note: (text) => say(`${paint('yellow', 'note')}: ${text}`),
    ran({ failure, exits, seed }, run) {
      if (failure && left > 0) say(`(${left} events before these are left out)`);
      if (failure) for (const words of held) say(words);
      held.length = 0;
      left = 0;
      if (repeat === 1 || ownProcess) return;
      const verdict = failure ? paint('red', 'not ok') : 'ok';
      say(`run ${run} of ${repeat}: ${verdict}, ${exits} exits, seed ${seed}`);
    },
    ended({ failure, exits, forwarded, seeded, seed: last }, run) {
      const runs = repeat > 1 ? `${run} runs, ` : '';
      const summary = `${runs}${exits} exits, ${forwarded} of them forwarded ICR writes; ran on ${describeTarget()}`;
      if (!failure) return void say(`${paint('green', 'ok')}: ${summary}`, 'result');
      const fail = (text: string) => say(text, 'result', failure.exitCode);
      const which = repeat > 1 ? `run ${run} of ${repeat}, seed ${last}: ` : '';
      fail(`${paint('red', 'not ok')}: ${which}${failure.text}`);
      fail(summary);
      if (repeat > 1 || seeded || seed !== undefined)
        fail(`to repeat it: ${commandLine.replace(/^kvm-dsm run/, `$& --seed ${last}`)}`);
    },
  };
}
