/** What `kvm-dsm run` says of a script's runs. */
import { jsonText, plural } from '../base/text.ts';
import { forwardsIpi, isDsmExit } from '../exit/dsm.ts';
import { laneHere } from '../host/lane.ts';
import { describeNodeIpi, nodeIpiToJson, summaryOf } from '../node/crossing-words.ts';
import type { NodeIpi } from '../node/crossings.ts';
import { endLine } from '../picture/file/records.ts';
import { print } from '../target/output.ts';
import { paint } from '../target/paint.ts';
import { describeTarget } from '../target/target.ts';
import { isExit, type TraceEvent } from '../trace/event.ts';
import { eventToJson } from '../trace/json.ts';
import { countStored, type StoredEvents } from '../trace/record.ts';
import { describeEvent } from '../trace/text.ts';
import type { Finding } from './findings.ts';
import { type FrameKind, frames, packed } from './frames.ts';
import type { ParsedRun, RunBegin, ScriptFailure, ScriptOutcome } from './protocol.ts';
import { StoredWriter } from './stored-events.ts';
import { TraceFile } from './trace-file.ts';

/** What `kvm-dsm run` prints while a script runs. */
export interface ScriptReporter {
  start(): void;
  /** A run begins. */
  begins(begin: RunBegin): void;
  /** @param machine which of the run's machines it is of, from 0: the second one and those behind it are named */
  event(event: TraceEvent, machine: number): void;
  /** Of events it counts the exits. */
  readonly countsOnly?: boolean;
  /** Instead of `event`, where it is there. */
  stored?: (events: StoredEvents, machine: number) => void;
  /** That were all events for now. */
  told(): void;
  /** So many more schedules have been run. */
  explored(schedules: number): void;
  /** Interrupts that went between the nodes of a machine, of a run of it that is over. */
  ipis?(ipis: readonly NodeIpi[], machine: number): void;
  finding(finding: Finding): void;
  /** A person should know. */
  note(text: string): void;
  /** A line of the trace file. */
  trace(line: string): void;
  /** Run number `run`, from 1, is over. */
  ran(outcome: ScriptOutcome, run: number): void;
  /**
   * All is over: with the exits of all runs, and what came of the last.
   *
   * @param on where it ran; `null`: it did not come to that; default: here
   */
  ended(outcome: ScriptOutcome, run: number, on?: string | null): void;
}

/** Of a quiet run the process that judges this one is told of so many exits at a time. */
const COUNTED = 1000;

/** So many interrupts between nodes a person is told of one by one, of a run of a machine. */
const SHOWN = 20;

/** How many of the last exits of a run among several are shown if it fails. */
const KEPT = 100;

/** One JSON object per line, or words for a person. */
export function scriptReporter(run: ParsedRun): ScriptReporter {
  const voice = new Voice(run);
  const told = run.options.json ? jsonReporter(run, voice) : textReporter(run, voice);
  const reporter = run.options.quiet ? quiet(run, voice, told) : told;
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

/** So much text of events is held back at most, in characters. */
const HELD = 1 << 16;

/**
 * In frames for the process that judges this one, or as it is. Many events come at a time, and are written at once; what else
 * is said goes behind them.
 */
class Voice {
  readonly #secret: string | null;
  /** Another process shows what this one says. */
  readonly tellsAnother: boolean;
  /** If nobody else writes it. */
  readonly #file: TraceFile | undefined;
  #held = '';

  constructor({ secret, options: { trace }, ownProcess }: ParsedRun) {
    this.#secret = secret;
    this.tellsAnother = secret !== null;
    if (secret === null && trace !== undefined) this.#file = new TraceFile(trace, ownProcess);
  }

  readonly trace = (line: string): void => {
    if (this.#file) this.#file.write(line);
    else this.say(line, 'trace');
  };

  /** A run is over. */
  readonly ran = (): void => this.#file?.flush();

  /** All of them are. */
  readonly ended = (failure: ScriptFailure | undefined): void => {
    this.#file?.write(jsonText(endLine(!failure, failure?.exitCode ?? 0)));
    this.#file?.flush();
  };

  readonly say: Say = (text, kind = 'line', code = 0) => {
    if (this.#secret === null && kind === 'begins') return;
    if (kind === 'stored') {
      // It is packed already.
      this.told();
      print(frames(this.#secret!, kind, text));
      return;
    }
    this.#held += this.#secret === null ? `${text}\n` : frames(this.#secret, kind, text, code);
    const isEvent = kind === 'exit' || kind === 'forwarded' || kind === 'trace';
    if (!isEvent || this.#held.length >= HELD) this.told();
  };

  /** Writes what is held back. */
  readonly told = (): void => {
    const text = this.#held;
    this.#held = '';
    if (text === '') return;
    // What leaves a machine of the lab goes through an emulator, byte by byte.
    print(this.#secret !== null && laneHere !== null ? packed(this.#secret, text) : text);
  };
}

function storedSayer(say: Say, hasTimes: boolean): (events: StoredEvents, machine: number) => void {
  const writer = new StoredWriter(hasTimes);
  return (events, machine) => say(writer.write(events, machine), 'stored');
}

/** For the progress line of the process that shows it. */
const explored = (say: Say, tellsAnother: boolean) => (schedules: number) => {
  if (tellsAnother) say(String(schedules), 'explored');
};

const begins = (say: Say) => (begin: RunBegin) => say(JSON.stringify(begin), 'begins');

/** How a run shows an event: one line. Of its machines the second one and those behind it are named. */
export function lineOf(event: TraceEvent, json: boolean, machine: number): string {
  if (json) return jsonText({ ...eventToJson(event), ...(machine > 0 && { machine }) });
  const text = `${machine > 0 ? `machine ${machine} ` : ''}${describeEvent(event)}`;
  return isExit(event) && isDsmExit(event.exit) ? paint('bold', text) : text;
}

/** What it counts as. */
export function kindOf(event: TraceEvent): FrameKind {
  if (!isExit(event)) return 'line';
  return forwardsIpi(event.exit) ? 'forwarded' : 'exit';
}

/** Of the exits only their number goes out, and of the runs those that fail. */
function quiet({ options, secret }: ParsedRun, { say }: Voice, told: ScriptReporter): ScriptReporter {
  let exits = 0;
  let forwarded = 0;
  const count = () => {
    if (exits > 0 && secret !== null) say(JSON.stringify([exits, forwarded]), 'counted');
    exits = forwarded = 0;
  };
  // Of several runs what came last is shown if one fails.
  const keepsLast = options.repeat > 1 && !options.json;
  const { ipis, ...others } = told;
  return {
    ...others,
    start() {},
    ...(keepsLast
      ? { ...(ipis && { ipis }) }
      : {
          countsOnly: true,
          stored(events: StoredEvents) {
            const counts = countStored(events);
            exits += counts.exits;
            forwarded += counts.forwarded;
          },
        }),
    event(event, machine) {
      if (keepsLast) told.event(event, machine);
      const kind = kindOf(event);
      if (kind !== 'line') exits += 1;
      if (kind === 'forwarded') forwarded += 1;
    },
    told() {
      told.told();
      if (exits >= COUNTED) count();
    },
    ran(outcome, run) {
      count();
      if (outcome.failure || !options.json) told.ran(outcome, run);
    },
  };
}

function jsonReporter(parsed: ParsedRun, voice: Voice): ScriptReporter {
  const { say, told, trace } = voice;
  const { options, ownProcess } = parsed;
  const { repeat, seed } = options;
  const line = (value: Record<string, unknown>, kind?: FrameKind, code?: number) => say(jsonText(value), kind, code);
  return {
    start() {},
    begins: begins(say),
    explored: explored(say, voice.tellsAnother),
    event: (event, machine) => say(lineOf(event, true, machine), kindOf(event)),
    ...(voice.tellsAnother ? { stored: storedSayer(say, true) } : {}),
    told,
    trace,
    ipis(ipis, machine) {
      for (const ipi of ipis) line({ ...nodeIpiToJson(ipi), ...(machine > 0 && { machine }) });
    },
    finding({ id, message, advice }) {
      line({ type: 'finding', id, message, advice });
    },
    note: (text) => line({ type: 'note', text }),
    ran({ failure, exits, seed }, run) {
      voice.ran();
      if (repeat > 1 && !ownProcess) line({ type: 'run', run, of: repeat, seed, ok: !failure, exits });
    },
    ended({ failure, exits, seeded, seed: last, explored }, run) {
      const ok = !failure;
      voice.ended(failure);
      const result = {
        type: 'result',
        ok,
        exits,
        ...explored,
        ...(repeat > 1 ? { runs: run } : {}),
        ...(repeat > 1 || seeded || seed !== undefined ? { seed: last } : {}),
        ...(failure ? { error: failure.json } : {}),
      };
      line(result, 'result', failure?.exitCode);
    },
  };
}

function textReporter(parsed: ParsedRun, voice: Voice): ScriptReporter {
  const { say, told, trace } = voice;
  const { options, ownProcess, commandLine } = parsed;
  const { repeat, seed } = options;
  const held: string[] = [];
  let left = 0;
  return {
    told,
    trace,
    // Of several runs the last events are held back.
    ...(voice.tellsAnother && repeat === 1 ? { stored: storedSayer(say, false) } : {}),
    start() {
      say(paint('dim', `on ${describeTarget()}`));
    },
    begins: begins(say),
    explored: explored(say, voice.tellsAnother),
    event(event, machine) {
      const words = lineOf(event, false, machine);
      if (repeat === 1) return void say(words, kindOf(event));
      held.push(words);
      if (held.length > KEPT) left += held.splice(0, 1).length;
    },
    ipis(ipis, machine) {
      const where = machine > 0 ? `machine ${machine} ` : '';
      const lines = ipis.slice(0, SHOWN).map((ipi) => `${where}${describeNodeIpi(ipi)}`);
      if (ipis.length > 1) lines.push(`${where}${summaryOf(ipis, ipis.length - lines.length)}`);
      if (repeat === 1) for (const words of lines) say(words);
      else held.push(...lines);
    },
    finding({ message, advice }) {
      say(`${paint('yellow', 'finding')}: ${message}\n  ${paint('cyan', '->')} ${advice}`);
    },
    note: (text) => say(`${paint('yellow', 'note')}: ${text}`),
    ran({ failure, exits, seed }, run) {
      voice.ran();
      if (failure && left > 0) say(`(${left} events before these are left out)`);
      if (failure) for (const words of held) say(words);
      held.length = 0;
      left = 0;
      if (repeat === 1 || ownProcess || (options.quiet && !failure)) return;
      const verdict = failure ? paint('red', 'not ok') : 'ok';
      say(`run ${run} of ${repeat}: ${verdict}, ${plural(exits, 'exit')}, seed ${seed}`);
    },
    ended({ failure, exits, forwarded, seeded, seed: last, explored }, run, on = describeTarget()) {
      voice.ended(failure);
      const runs = repeat > 1 ? `${plural(run, 'run')}, ` : '';
      const place = on === null ? 'the script had not begun' : `ran on ${on}`;
      const tried = explored
        ? `${plural(explored.schedules, 'schedule')} of ${plural(explored.steps, 'step')} in all, `
        : '';
      const summary = `${runs}${tried}${plural(exits, 'exit')}, ${forwarded} of them forwarded ICR writes; ${place}`;
      if (!failure) return void say(`${paint('green', 'ok')}: ${summary}`, 'result');
      const fail = (text: string) => say(text, 'result', failure.exitCode);
      const which = repeat > 1 ? `run ${run} of ${repeat}, seed ${last}: ` : '';
      fail(`${paint('red', 'not ok')}: ${which}${failure.text}`);
      fail(summary);
      if (repeat > 1 || seeded || seed !== undefined)
        fail(`to repeat it: ${commandLine.replace(/^kvm-dsm (?:run|explore)/, `$& --seed ${last}`)}`);
    },
  };
}
