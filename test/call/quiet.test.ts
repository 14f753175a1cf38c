import { afterEach, expect, it } from 'vitest';

import { sdp, type Signalling, startSignalling } from '../support/signalling.ts';
import { respond } from '../support/sip-peer.ts';

let line: Signalling;

afterEach(async () => {
  await line[Symbol.asyncDispose]();
});

it('a call whose peer has forgotten it is asked after a silence and ends as lost; one that is known goes on', async () => {
  line = await startSignalling({ SIP_QUIET_SECONDS: '1', DRAIN_SECONDS: '0' });
  const body = sdp('m=audio 40000 RTP/AVP 8');
  const lost = await line.answered({ body });
  const known = await line.answered({ body });
  const asked = (callId: string): Promise<string> =>
    line.peer.next(new RegExp(`^OPTIONS [^]*Call-ID: ${callId}`));
  line.peer.send(respond(await asked(lost.call.callId), '481 Call/Transaction Does Not Exist'));
  line.peer.send(respond(await asked(known.call.callId), '200 OK'));
  const { end_reason } = await line.row<{ end_reason: string }>(
    "select end_reason from calls where sip_call_id = $1 and state = 'complete'",
    [lost.call.callId],
  );
  expect(end_reason).toBe('dialog_lost');
  line.peer.send(respond(await asked(known.call.callId), '200 OK'));
  const metrics = await (await fetch(`${line.test.service.httpUrl}/metrics`)).text();
  expect(metrics).toContain('callscribe_sip_dialog_probes_total{found="gone"} 1');
  expect(await line.ask(known, 'UPDATE', 2, { body })).toMatch(/^SIP\/2.0 200 /);
});
