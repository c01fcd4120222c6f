/** A check that has more to say than a pipe holds. */
export const subjects = [
  {
    name: 'long',
    title: 'Long reasons',
    checks: [
      {
        id: 'long.reason',
        claim: 'All of a report arrives',
        source: 'the report',
        run() {
          throw new Error('x'.repeat(2_000_000));
        },
      },
    ],
  },
];
