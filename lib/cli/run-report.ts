import { KvmDsmError } from '../errors.ts';
import { exitToJson } from '../exit.ts';
import { describeEvent, type TraceExit } from '../script/event.ts';
import { errorToJson, explain } from './fail.ts';
import type { Finding } from './findings.ts';
import { print } from './output.ts';
import { paint } from './paint.ts';
import { describePlace } from './place.ts';

/** What `kvm-dsm run` prints while a script runs. */
export interface RunReporter {
  start(): void;
  exit(event: TraceExit): void;
  finding(finding: Finding): void;
  passed(): void;
  /** Returns the exit code. */
  failed(error: unknown, found: readonly Finding[]): number;
}

/** One JSON object per line, or words for a person. */
export function runReporter(json: boolean): RunReporter {
  return json ? jsonReporter() : textReporter();
}

function exitCodeOf(error: unknown, found: readonly Finding[]): number {
  if (found.some(({ environment }) => environment)) return 3;
  return error instanceof KvmDsmError ? error.exitCode : 1;
}

function jsonReporter(): RunReporter {
  let exits = 0;
  const line = (value: Record<string, unknown>) => print(`${JSON.stringify(value)}\n`);
  return {
    start() {},
    exit({ seq, ns, vcpu, rip, exit }) {
      exits += 1;
      line({ type: 'exit', seq, ns, vcpu, ...exitToJson(exit), rip: `0x${rip.toString(16)}` });
    },
    finding({ id, message, advice }) {
      line({ type: 'finding', id, message, advice });
    },
    passed() {
      line({ type: 'result', ok: true, exits });
    },
    failed(error, found) {
      line({ type: 'result', ok: false, exits, error: errorToJson(error) });
      return exitCodeOf(error, found);
    },
  };
}

function textReporter(): RunReporter {
  let exits = 0;
  let forwarded = 0;
  const say = (text: string) => print(`${text}\n`);
  return {
    start() {
      say(paint('dim', `on ${describePlace()}`));
    },
    exit(event) {
      exits += 1;
      const dsm = event.exit.name.startsWith('KVM_EXIT_DSM_');
      if (dsm) forwarded += 1;
      say(dsm ? paint('bold', describeEvent(event)) : describeEvent(event));
    },
    finding({ message, advice }) {
      say(`${paint('yellow', 'finding')}: ${message}\n  ${paint('cyan', '->')} ${advice}`);
    },
    passed() {
      say(
        `${paint('green', 'ok')}: ${exits} exits, ${forwarded} of them forwarded ICR writes; ran on ${describePlace()}`,
      );
    },
    failed(error, found) {
      say(`${paint('red', 'not ok')}: ${explain(error)}`);
      say(`${exits} exits, ${forwarded} of them forwarded ICR writes; ran on ${describePlace()}`);
      return exitCodeOf(error, found);
    },
  };
}
