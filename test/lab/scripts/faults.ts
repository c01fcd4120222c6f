// What each fault of the lab's kernel does to a small guest, and that the guest is right before and after: run inside
// the lab by faults.test.ts, all in one boot.
import { readFileSync, writeFileSync } from 'node:fs';
import { FAULT_PARAMETER } from '../../../lib/suite/faults/fault.ts';
import { faults } from '../../../lib/suite/faults/table.ts';
import { exitsCases } from './faults/exits.ts';
import { attempt, type Case } from './faults/guest.ts';
import { injectionCases } from './faults/injection.ts';
import { modesCases } from './faults/modes.ts';
import { onceCases } from './faults/once.ts';
import { payloadCases } from './faults/payload.ts';
import { sourceCases } from './faults/source.ts';
import { stateCases } from './faults/state.ts';
import { synicCases } from './faults/synic.ts';
import { transparencyCases } from './faults/transparency.ts';
import { vfioCases } from './faults/vfio.ts';
import { vlpiCases } from './faults/vlpi.ts';

const cases: Record<string, Case> = {
  ...exitsCases,
  ...injectionCases,
  ...modesCases,
  ...onceCases,
  ...payloadCases,
  ...sourceCases,
  ...stateCases,
  ...synicCases,
  ...transparencyCases,
  ...vfioCases,
  ...vlpiCases,
};

const choose = (fault: string | number) => writeFileSync(FAULT_PARAMETER, `${fault}\n`);
const parameter = () => readFileSync(FAULT_PARAMETER, 'utf8').trim();

const failures: string[] = [];

function same(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) failures.push(`${what}: ${a}, expected ${b}`);
}

const names = ['none', ...faults.map(({ name }) => name)];
const listed = (chosen: string) => names.map((name) => (name === chosen ? `[${name}]` : name)).join(' ');
same('at boot', parameter(), listed('none'));
same('a case for each', Object.keys(cases).toSorted(), names.slice(1).toSorted());

for (const { name, number } of faults) {
  const { see, right, wrong } = cases[name]!;
  same(`${name}: none chosen`, await attempt(see), right);
  choose(name);
  same(`${name}: chosen`, parameter(), listed(name));
  same(`${name}: at work`, await attempt(see), wrong);
  choose('none');
  choose(number);
  same(`${name}: by number`, parameter(), listed(name));
  choose(0);
  same(`${name}: none again`, await attempt(see), right);
}

for (const refused of ['nonsense', names.length, -1, '']) {
  same(`${refused} is refused`, String(attempt(() => choose(refused))).includes('EINVAL'), true);
}
same('at the end', parameter(), listed('none'));

if (failures.length > 0) throw new Error(`\n${failures.join('\n')}`);
console.error(`faults: ${faults.length} shown`);
