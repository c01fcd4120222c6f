// User space's own share of an exit: C and JavaScript in turns, with KVM_RUN answered by a shim.
//
//   node --import tsx bench/overhead/main.ts [--turns N] [--share S] [--call-ns N] [--json] [case...]
import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { reference, shim } from '../build-c.ts';
import { guestArguments } from '../cases/guest.ts';
import { cases } from '../cases/index.ts';
import { Side } from '../side.ts';
import { table, time } from '../table.ts';
import { type Measured, takeTurns } from '../turns.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    turns: { type: 'string', default: '15' },
    share: { type: 'string', default: '1' },
    'call-ns': { type: 'string', default: '1200' },
    json: { type: 'boolean', default: false },
  },
});
const note =
  'KVM_RUN is not run here: it is an almost empty system call of ' +
  `${values['call-ns']} ns with an exit that was prepared, as are the ioctls that a case times. This serves for cost alone.`;
console.log(values.json ? JSON.stringify({ note }) : note);

const possible = cases.filter((one) => one.needs !== 'guest');
for (const name of positionals)
  if (!possible.some((one) => one.name === name))
    throw new Error(`no case ${name}; there are ${possible.map((one) => one.name).join(', ')}`);
const chosen = possible.filter(({ name }) => positionals.length === 0 || positionals.includes(name));

const missing = missingKvm();
if (missing) console.log(values.json ? JSON.stringify({ skipped: missing }) : `skipped: ${missing}`);
else await measure();

/** The VM and its other ioctls are real. */
function missingKvm(): string | null {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return `/dev/kvm cannot be opened (${(error as NodeJS.ErrnoException).code})`;
  }
}

async function measure(): Promise<void> {
  const environment = { LD_PRELOAD: shim(), KVM_DSM_BENCH_CALL_NS: values['call-ns'] };
  const worker = fileURLToPath(new URL('../cases/worker.ts', import.meta.url));
  using ours = new Side([process.execPath, '--expose-gc', '--import', 'tsx', worker], environment);
  using c = new Side([reference(), ...guestArguments], environment);
  const effort = { turns: Number(values.turns), share: Number(values.share) };
  const rows = [['CPU time of', 'C', 'JavaScript', 'ratio', 'middle half', 'by the clock', 'aim']];
  for (const one of chosen) {
    const measured = await takeTurns(one, ours, c, effort);
    if (!measured) continue;
    if (values.json) console.log(JSON.stringify(measured));
    else rows.push(row(measured));
  }
  if (!values.json) console.log(table(rows));
}

function row({ name, wall, cpu, aim, unit }: Measured): string[] {
  const spread = cpu.spread.map((ratio) => ratio.toFixed(2)).join(' to ');
  return [
    `${name} (${unit})`,
    time(cpu.reference),
    time(cpu.ours),
    cpu.ratio.toFixed(2),
    spread,
    wall.ratio.toFixed(2),
    aim === undefined ? '' : `<= ${aim}`,
  ];
}
