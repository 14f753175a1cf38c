import { fileURLToPath } from 'node:url';

/** A certificate of test/support/tls, made by make.sh there; valid for a hundred years, and guarding nothing. */
export const tlsFile = (name: string): string => fileURLToPath(new URL(`./tls/${name}.pem`, import.meta.url));

export const SERVER_FILES = {
  certFile: tlsFile('server'),
  keyFile: tlsFile('server-key'),
  caFile: undefined,
};
