// What an interrupt between nodes costs, beside other ways and NATS itself: on a host's /dev/kvm, or in one boot of a lane of the lab.
//
//   npm run bench:nodes -- [--on host|svm] [--turns N] [--count N] [--rounds N] [--nodes N,N] [--json]
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { forwardsIcrWrites, Kvm } from '../../lib/index.ts';
import { staticRelay } from '../build-c.ts';
import { bundle } from '../bundle.ts';
import { missingKvm, type Place, places, runAt } from '../places.ts';
import { table } from '../table.ts';
import { burstRows, type NodesFound, wayRows } from './found.ts';
import type { NodesWork } from './inside.ts';

const { values } = parseArgs({
  options: {
    on: { type: 'string', default: 'host' },
    turns: { type: 'string', default: '5' },
    count: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '3' },
    nodes: { type: 'string', default: '2,4,8' },
    json: { type: 'boolean', default: false },
  },
});
const place = values.on as Place;
if (!places.includes(place)) throw new Error(`--on ${place}: it is one of ${places.join(', ')}`);
const missing = place === 'host' ? (missingKvm() ?? notForwarding()) : null;
const server = programOf('nats-server');
const found: NodesFound[] = [];
const tell = (one: NodesFound) => {
  found.push(one);
  if (values.json) console.log(JSON.stringify(one));
};

if (missing) console.log(values.json ? JSON.stringify({ skipped: missing }) : `skipped: ${missing}`);
else {
  tell({ note: noteOf() });
  await runAt(place, 'nodes', kitOf, (line) => tell(JSON.parse(line)));
  if (!values.json) console.log([table(wayRows(found)), table(burstRows(found))].join('\n\n'));
}

/** Nodes live on what the kernel forwards. */
function notForwarding(): string | null {
  using kvm = Kvm.open();
  return forwardsIcrWrites(kvm) ? null : "this host's kernel does not forward ICR writes: --on svm measures in the lab";
}

function noteOf(): string {
  const each = Number(values.count) * Number(values.turns);
  const where = place === 'host' ? "a host's /dev/kvm" : `the ${place} lane, which is an emulator`;
  const says = place === 'host' ? '' : ' Its times are no times of a real computer: read the ratios.';
  const joined = server === null ? ' There was no nats-server.' : '';
  return `Measured in one boot of ${where}.${says} ${each} interrupts of each way, in ${values.turns} turns of all ways.${joined}`;
}

function programOf(name: string): string | null {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'])
    try {
      const path = join(folder, name);
      readFileSync(path);
      return path;
    } catch {
      // Another folder has it, or none.
    }
  return null;
}

/** The files, and the command that works on them, in a folder of that name. */
function kitOf(folder: string, node: string, packageRoot: string) {
  const inside = (name: string) => join(folder, name);
  const work: NodesWork = {
    turns: Number(values.turns),
    count: Number(values.count),
    rounds: Number(values.rounds),
    nodes: values.nodes.split(',').map(Number),
    relay: inside('relay'),
    server: server === null ? null : inside('nats-server'),
  };
  const program = (name: string, path: string) => ({ path: inside(name), data: readFileSync(path), executable: true });
  return {
    // Without these node dies now and then on svm: docs/lab.md.
    command: [node, '--no-wasm-tier-up', '--no-wasm-dynamic-tiering', inside('inside.mjs'), JSON.stringify(work)],
    files: [
      { path: inside('inside.mjs'), data: bundle('nodes/inside.ts', packageRoot) },
      program('relay', staticRelay()),
      ...(server === null ? [] : [program('nats-server', server)]),
    ],
  };
}
