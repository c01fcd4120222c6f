/** Writes native/core/request_table.h, the table by which the addon checks ioctls: `npm run build:requests`. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeIoctl } from '../lib/abi/kvm/request-number.ts';
import { type Request, refusedCapabilities, requests } from '../lib/abi/kvm/requests.ts';

export const requestTableFile = fileURLToPath(new URL('../native/core/request_table.h', import.meta.url));

const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, '0')}`;
const nrOf = ({ number }: Request) => decodeIoctl(number).nr;

type Row<P extends Request['passes']> = [name: string, request: Extract<Request, { passes: P }>];

/** The requests that take their argument so, by their number. */
function thosePassing<P extends Request['passes']>(passes: P): Row<P>[] {
  return Object.entries(requests)
    .filter((entry): entry is Row<P> => entry[1].passes === passes)
    .toSorted(([, a], [, b]) => nrOf(a) - nrOf(b));
}

/** A line for each, with its name beside it, in one column. */
function lines(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([, value]) => value.length)) + 1;
  return rows.map(([name, value]) => `    ${`${value},`.padEnd(width)}  // ${name}`).join('\n');
}

/** The text of the header. Throws if a number would be refused, or read as an array, that is another request's too. */
export function requestTable(): string {
  const arrays = thosePassing('array');
  const methods = thosePassing('method');
  const byNr = new Set([...arrays, ...methods].map(([, request]) => nrOf(request)));
  for (const [name, request] of Object.entries(requests) as [string, Request][])
    if (request.passes !== 'array' && request.passes !== 'method' && byNr.has(nrOf(request)))
      throw new Error(
        `${name} has the nr ${hex(nrOf(request), 2)} of a request that passes its argument in another way`,
      );
  return `// How KVM's requests take their argument. Made of lib/abi/kvm/requests.ts by npm run build:requests: not to be edited.
#pragma once

#include <cstddef>
#include <cstdint>

// By _IOC_NR: refused, whatever size and direction the number claims.
constexpr uint8_t kMethodRequests[] = {
${lines(methods.map(([name, request]) => [name, hex(nrOf(request), 2)]))}
};

// By _IOC_NR: structs that end in an array. The number encodes the head alone, and the kernel trusts the count in it.
struct ArrayRequest {
  uint8_t nr;
  size_t count_offset;
  size_t count_size;
  size_t entry_size;
};
constexpr ArrayRequest kArrayRequests[] = {
${lines(
  arrays.map(([name, request]) => [
    name,
    `{${hex(nrOf(request), 2)}, ${request.countOffset}, ${request.countSize}, ${request.entrySize}}`,
  ]),
)}
};

// The whole number: the XSAVE area, which is as large as the guest's features make it, whatever the number says.
constexpr uint32_t kXsaveRequests[] = {
${lines(thosePassing('xsave').map(([name, { number }]) => [name, hex(number, 8)]))}
};

// Of KVM_ENABLE_CAP: the arguments are an address or a file descriptor.
constexpr uint32_t kRefusedCapabilities[] = {
${lines(Object.entries(refusedCapabilities).map(([name, number]) => [name, String(number)]))}
};
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(requestTableFile, requestTable());
