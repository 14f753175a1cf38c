/**
 * `npm run route -- --help`: which rule of ROUTES_FILE takes an INVITE, and why; whether the file can be taken; its schema.
 * Exit codes: 0 done, 1 the file cannot be taken, 2 wrong usage or configuration.
 */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { text as readAll } from 'node:stream/consumers';

import { loadConfig } from '../src/config.ts';
import { CallscribeError, systemCode } from '../src/errors.ts';
import { readRouteCommandLine } from '../src/routing/command-line.ts';
import { explainText, faultsText } from '../src/routing/explain-text.ts';
import { routeFactsOf } from '../src/routing/facts.ts';
import { explainRules } from '../src/routing/matching.ts';
import type { Routes } from '../src/routing/route-rules.ts';
import { loadRoutes as loadFile } from '../src/routing/routes-file.ts';
import { routesJsonSchema } from '../src/routing/routes-schema.ts';
import { readHeaderLines } from '../src/sip/identifiers.ts';
import { isRecordingSession, readContent, type RequestText } from '../src/sip/invite.ts';
import { runRoot } from './main.ts';
import { routesReader } from './routes.ts';
import { loadPrompt } from './voicemail-terms.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function readText(file: string): Promise<string> {
  try {
    return file === '-' ? await readAll(process.stdin) : await readFile(file, 'utf8');
  } catch (error) {
    throw new CallscribeError('USAGE', `${file}: cannot be read (${systemCode(error) ?? 'unknown fault'})`);
  }
}

/** @returns undefined, with its faults printed, where the file cannot be taken */
async function loadRoutes(given: string | undefined): Promise<Routes | undefined> {
  const file = given ?? process.env['ROUTES_FILE'];
  if (file === undefined || file === '') {
    throw new CallscribeError('USAGE', 'which rules? Set ROUTES_FILE, or give --file');
  }
  const { reading } = await loadFile(file, {
    ...routesReader(loadConfig(process.env).asr.model),
    loadPrompt,
  });
  if (reading.kind === 'routes') return reading.routes;
  print(faultsText(file, reading.faults));
  process.exitCode = 1;
  return undefined;
}

/** An INVITE in a file may have the line ends of its system. */
function readInvite(text: string): RequestText & { readonly requestUri: string } {
  const raw = text.replace(/\r?\n/g, '\r\n');
  const requestUri = /^INVITE (\S+) SIP\/2\.0\r\n/.exec(raw)?.[1];
  if (requestUri === undefined) {
    throw new CallscribeError(
      'SIP_MALFORMED',
      'the file does not begin with the first line of an INVITE, such as INVITE sip:1001@example.com SIP/2.0',
    );
  }
  const lines = readHeaderLines(raw);
  return { raw, requestUri, header: (name) => lines.find((line) => line.name === name.toLowerCase())?.value };
}

function viaAddress(request: RequestText): string {
  const via = request.header('via') ?? request.header('v') ?? '';
  return /;\s*received=([^;,\s]+)/i.exec(via)?.[1] ?? /^\S+\s+([^;:,\s]+)/.exec(via)?.[1] ?? '';
}

await runRoot(async () => {
  const line = readRouteCommandLine(process.argv.slice(2), new Date());
  if (line.kind === 'help') print(line.text);
  if (line.kind === 'schema') print(JSON.stringify(routesJsonSchema(), undefined, 2));
  if (line.kind === 'check') {
    const routes = await loadRoutes(line.file);
    if (routes !== undefined) print(`${routes.rules.length} rules can be taken`);
    for (const name of routes?.hotWords.stale ?? []) {
      print(`hot words of ${name} are not as they were synced: npm run vocabulary -- sync`);
    }
  }
  if (line.kind !== 'explain') return;
  const routes = await loadRoutes(line.file);
  if (routes === undefined) return;
  const invite = readInvite(await readText(line.invite));
  const content = readContent(invite);
  const facts = routeFactsOf(
    {
      requestUri: invite.requestUri,
      headers: readHeaderLines(invite.raw),
      metadata: content.metadata,
      recording: isRecordingSession(invite, content),
      peerAddress: line.peerAddress ?? viaAddress(invite),
    },
    line.at,
  );
  print(explainText(explainRules(routes, facts)));
});
