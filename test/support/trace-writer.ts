/** A process that writes a trace as `run --trace` does: `trace-writer.ts <file> <events>`; tells by how much its memory grew. */
import { eventLine, headLine, machineLine } from '../../lib/picture/file/records.ts';
import { TraceFile } from '../../lib/runner/trace-file.ts';
import { preparedTarget, Scene } from './pictures.ts';
import { head } from './trace-lines.ts';

const [path, events] = process.argv.slice(2);
const file = new TraceFile(path!);
file.write(JSON.stringify(headLine(head)));
file.write(JSON.stringify(machineLine(1, 1, { born: 1n, irqchip: 'full', targets: [preparedTarget(0)] })));
const [event] = new Scene().icr(0, 0x40f0, 1).events;
const before = process.memoryUsage.rss();
for (let seq = 0; seq < Number(events); seq++)
  file.write(JSON.stringify(eventLine(1, { ...event!, seq, ns: seq * 1000 })));
file.close();
process.stdout.write(`${process.memoryUsage.rss() - before}\n`);
