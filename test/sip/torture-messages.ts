/**
 * The messages of RFC 4475 ("SIP torture test messages"), which is in the public record; long values are built the way its
 * section says. Lines end with CRLF when they are sent, and the datagrams go to us from a peer of the test's own, so the
 * answer comes back to where they came from whatever their Via says.
 */
export interface TortureMessage {
  /** Section and file name in RFC 4475. */
  readonly id: string;
  readonly title: string;
  /** What the RFC asks of a server that gets it. */
  readonly rfc: string;
  readonly bytes: Buffer;
  /** The status of our final answer; `none`: no answer at all. */
  readonly answer: number | 'none';
  /** Why, where that is not what the RFC describes. */
  readonly why?: string;
}

const SDP = `
v=0
o=mhandley 29739 7272939 IN IP4 192.0.2.1
s=-
c=IN IP4 192.0.2.1
t=0 0
m=audio 49217 RTP/AVP 0 12
m=video 3227 RTP/AVP 31
a=rtpmap:31 LPC`;

function sip(text: string): Buffer {
  return Buffer.from(text.trimStart().replaceAll('\n', '\r\n'), 'latin1');
}
/** With the Content-Length that its body has, where `LENGTH` stands. */
function withBody(head: string, body = SDP): Buffer {
  const content = `${body.trimStart()}\n`.replaceAll('\n', '\r\n');
  return sip(`${head.replace('LENGTH', String(content.length))}\n\n${body.trimStart()}\n`);
}
/** A message without a body: ends with its empty line. */
const bare = (text: string): Buffer => sip(`${text.trim()}\n\n`);

export const TORTURE: readonly TortureMessage[] = [
  {
    id: '3.1.1.1 wsinv',
    title: 'a short tortuous INVITE',
    rfc: 'valid: folded, compact, mixed-case and unknown headers, odd white space',
    answer: 481,
    why: 'its To has a tag: it asks for a call that we do not know',
    bytes: withBody(`
INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : LENGTH
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33`),
  },
  {
    id: '3.1.1.2 intmeth',
    title: 'a wide range of valid characters',
    rfc: 'valid; a method that is not known is refused as such',
    answer: 501,
    bytes: bare(`
!interesting-Method0123456789_*+\`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0
Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+\`'~
To: "BEL:\\\u0007 NUL:\\\u0000 DEL:\\\u007F" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>
From: token1~\` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%="\u00d1\u0080\u00d0\u00b0\u00d0\u00b1\u00d0\u00be\u00d1\u0082\u00d0\u00b0";tag=_token~1'+\`*%!-.
Call-ID: intmeth.word%ZK-!.*_+'@word\`~)(><:\\/"][?}{
CSeq: 139122385 !interesting-Method0123456789_*+\`.%indeed'~
Max-Forwards: 255
extensionHeader-!.%*+_\`'~:\u00ef\u00bb\u00bf\u00e5\u00a4\u00a7\u00e5\u0081\u009c\u00e9\u009b\u00bb
Content-Length: 0`),
  },
  {
    id: '3.1.1.3 esc01',
    title: 'valid use of % escapes',
    rfc: 'valid',
    answer: 488,
    bytes: withBody(`
INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0
To: sip:%75se%72@example.com
From: <sip:I%20have%20spaces@example.net>;tag=938
Max-Forwards: 87
i: esc01.239409asdfakjkn23onasd0-3234
CSeq: 234234 INVITE
Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw
C: application/sdp
Contact:
  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>
Content-Length: LENGTH`),
  },
  {
    id: '3.1.1.4 escnull',
    title: 'escaped NULs in URIs',
    rfc: 'valid REGISTER',
    answer: 405,
    why: 'we are no registrar',
    bytes: bare(`
REGISTER sip:example.com SIP/2.0
To: sip:null-%00-null@example.com
From: sip:null-%00-null@example.com;tag=839923423
Max-Forwards: 70
Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd
CSeq: 14398234 REGISTER
Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw
Contact: <sip:%00@host5.example.com>
Contact: <sip:%00%00@host5.example.com>
L:0`),
  },
  {
    id: '3.1.1.5 esc02',
    title: '% where it is no escape',
    rfc: 'valid; RE%47IST%45R is a method of its own and not REGISTER',
    answer: 501,
    bytes: bare(`
RE%47IST%45R sip:registrar.example.com SIP/2.0
To: "%Z%45" <sip:resource@example.com>
From: "%Z%45" <sip:resource@example.com>;tag=f232jadfj23
Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf
Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234
CSeq: 29344 RE%47IST%45R
Max-Forwards: 70
Contact: <sip:alias1@host1.example.com>
C%6Fntact: <sip:alias2@host2.example.com>
Contact: <sip:alias3@host3.example.com>
l: 0`),
  },
  {
    id: '3.1.1.6 lwsdisp',
    title: 'no white space between display name and <',
    rfc: 'valid',
    answer: 200,
    bytes: bare(`
OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: caller<sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID: lwsdisp.1234abcd@funky.example.com
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw
l: 0`),
  },
  {
    id: '3.1.1.7 longreq',
    title: 'long values',
    rfc: 'valid',
    answer: 488,
    bytes: withBody(`
INVITE sip:user@example.com SIP/2.0
To: "I have a user name of ${'extreme'.repeat(10)} proportion"<sip:user@example.com:6000;unknownparam1=very${'long'.repeat(20)}value;longparam${'name'.repeat(25)}=shortvalue;very${'long'.repeat(25)}ParameterNameWithNoValue>
F: sip:${'amazinglylongcallername'.repeat(5)}@example.net;tag=12${'982'.repeat(50)}424;unknownheaderparam${'name'.repeat(20)}=unknowheaderparam${'value'.repeat(15)};unknownValueless${'paramname'.repeat(10)}
Call-ID: longreq.one${'really'.repeat(20)}longcallid
CSeq: 3882340 INVITE
Unknown-${'Long'.repeat(20)}-Name: unknown-${'long'.repeat(20)}-value; unknown-${'long'.repeat(20)}-parameter-name = unknown-${'long'.repeat(20)}-parameter-value
Via: SIP/2.0/TCP sip33.example.com
v: SIP/2.0/TCP sip32.example.com
V: SIP/2.0/TCP sip31.example.com
${Array.from({ length: 30 }, (_, hop) => `Via: SIP/2.0/TCP sip${30 - hop}.example.com`).join('\n')}
Via: SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very${'long'.repeat(50)}branchvalue
Max-Forwards: 70
Contact: <sip:${'amazinglylongcallername'.repeat(5)}@host5.example.net>
Content-Type: application/sdp
l: LENGTH`),
  },
  {
    id: '3.1.1.8 dblreq',
    title: 'octets behind the message in its datagram',
    rfc: 'valid REGISTER; what follows is dropped, although it looks like an INVITE',
    answer: 405,
    why: 'we are no registrar',
    bytes: sip(`
REGISTER sip:example.com SIP/2.0
To: sip:j.user@example.com
From: sip:j.user@example.com;tag=43251j3j324
Max-Forwards: 8
I: dblreq.0ha0isndaksdj99sdfafnl3lk233412
Contact: sip:j.user@host.example.com
CSeq: 8 REGISTER
Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492
Content-Length: 0


INVITE sip:joe@example.com SIP/2.0
t: sip:joe@example.com
From: sip:caller@example.net;tag=141334
Max-Forwards: 8
Call-ID: dblreq.0ha0isnda977644900765@192.0.2.15
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw380234
Content-Type: application/sdp
Content-Length: 150
${SDP}
`),
  },
  {
    id: '3.1.1.9 semiuri',
    title: 'semicolons in the user part',
    rfc: 'valid; the user is "user;par=u@example.net"',
    answer: 200,
    bytes: bare(`
OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0
To: sip:j_user@example.com
From: sip:caller@example.org;tag=33242
Max-Forwards: 3
Call-ID: semiuri.0ha0isndaksdj
CSeq: 8 OPTIONS
Accept: application/sdp, application/pkcs7-mime,
        multipart/mixed, multipart/signed,
        message/sip, message/sipfrag
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw
l: 0`),
  },
  {
    id: '3.1.1.10 transports',
    title: 'varied and unknown transports',
    rfc: 'valid',
    answer: 200,
    bytes: bare(`
OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: <sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID:  transports.kijh4akdnaqjkwendsasfdj
Accept: application/sdp
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw
Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf
Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj
Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en
Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee
l: 0`),
  },
  {
    id: '3.1.1.11 mpart01',
    title: 'a multipart body with binary parts',
    rfc: 'valid MESSAGE',
    answer: 405,
    why: 'we take no messages',
    bytes: withBody(
      `
MESSAGE sip:kumiko@example.org SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport
Max-Forwards: 70
Route: <sip:127.0.0.1:5080>
Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuLIK0YWVKZhKv9Mj8UeXqkMVbnVq37CD+813gvYjcBUaZngQmXc9WNZSDNGCzA+fWl9MEUHWIZo1CeJebdY/XlgKeTa0Olvq0rt70Q5jiSfbqMJmQFteeivUhkMWYUA=
Contact: <sip:fluffy@127.0.0.1:5070>
To: <sip:kumiko@example.org>
From: <sip:fluffy@example.com>;tag=2fb0dcc9
Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..
CSeq: 1 MESSAGE
Content-Transfer-Encoding: binary
Content-Type: multipart/mixed;boundary=7a9cbec02ceef655
Date: Sat, 15 Oct 2005 04:44:56 GMT
User-Agent: SIPimp.org/0.2.5 (curses)
Content-Length: LENGTH`,
      `--7a9cbec02ceef655
Content-Type: text/plain
Content-Transfer-Encoding: binary

Hello
--7a9cbec02ceef655
Content-Type: application/octet-stream
Content-Transfer-Encoding: binary

\u00a8\u0000\u0001\u00ff\u0086H\u00f7\u0000
--7a9cbec02ceef655--`,
    ),
  },
  {
    id: '3.1.1.12 unreason',
    title: 'an unusual reason phrase',
    rfc: 'valid response; ours to nothing',
    answer: 'none',
    bytes: bare(`
SIP/2.0 200 = 2**3 * 5**2 \u00d0\u00bd\u00d0\u00be \u00d1\u0081\u00d1\u0082\u00d0\u00be
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Call-ID: unreason.1234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
Content-Length: 0
Contact: <sip:user@host198.example.com>`),
  },
  {
    id: '3.1.1.13 noreason',
    title: 'an empty reason phrase',
    rfc: 'valid response; ours to nothing',
    answer: 'none',
    bytes: bare(`
SIP/2.0 100\u0020
Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
Call-ID: noreason.asndj203insdf99223ndf
CSeq: 35 INVITE
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Content-Length: 0
Contact: <sip:user@host105.example.com>`),
  },
  {
    id: '3.1.2.1 badinv01',
    title: 'separators without values',
    rfc: 'invalid: 400, or be lenient',
    answer: 488,
    why: 'lenient: From, To, Via and Contact can be read',
    bytes: withBody(`
INVITE sip:user@example.com SIP/2.0
To: sip:j.user@example.com
From: sip:caller@example.net;tag=134161461246
Max-Forwards: 7
Call-ID: badinv01.0ha0isndaksdjasdf3234nas
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.15;;,;,,
Contact: "Joe" <sip:joe@example.org>;;;;
Content-Length: LENGTH
Content-Type: application/sdp`),
  },
  {
    id: '3.1.2.2 clerr',
    title: 'Content-Length larger than the message',
    rfc: 'invalid: 400 over UDP',
    answer: 400,
    bytes: sip(`
INVITE sip:user@example.com SIP/2.0
Max-Forwards: 80
To: sip:j.user@example.com
From: sip:caller@example.net;tag=93942939o2
Contact: <sip:caller@hungry.example.net>
Call-ID: clerr.0ha0isndaksdjweiafasdk3
CSeq: 8 INVITE
Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bK-39234-23523
Content-Type: application/sdp
Content-Length: 9999
${SDP}
`),
  },
  {
    id: '3.1.2.3 ncl',
    title: 'a negative Content-Length',
    rfc: 'invalid: 400',
    answer: 400,
    bytes: sip(`
INVITE sip:user@example.com SIP/2.0
Max-Forwards: 254
To: sip:j.user@example.com
From: sip:caller@example.net;tag=32394234
Call-ID: ncl.0ha0isndaksdj2193423r542w35
CSeq: 0 INVITE
Via: SIP/2.0/UDP 192.0.2.53;branch=z9hG4bKkdjuw
Contact: <sip:caller@example53.example.net>
Content-Type: application/sdp
Content-Length: -999
${SDP}
`),
  },
  {
    id: '3.1.2.4 scalar02',
    title: 'numbers beyond their range in a request',
    rfc: 'invalid: 400, for CSeq at least',
    answer: 400,
    bytes: bare(`
REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bK342sdfoi3
To: <sip:user@example.com>
From: <sip:user@example.com>;tag=239232jh3
CSeq: 36893488147419103232 REGISTER
Call-ID: scalar02.23o0pd9vanlq3wnrlnewofjas9ui32
Max-Forwards: 300
Expires: 1${'0'.repeat(100)}
Contact: <sip:user@host129.example.com>
  ;expires=280297596632815
Content-Length: 0`),
  },
  {
    id: '3.1.2.5 scalarlg',
    title: 'numbers beyond their range in a response',
    rfc: 'invalid response: dropped',
    answer: 'none',
    bytes: bare(`
SIP/2.0 503 Service Unavailable
Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.129
To: <sip:user@example.com>
From: <sip:other@example.net>;tag=2easdjfejw
CSeq: 9292394834772304023312 OPTIONS
Call-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r
Retry-After: 949302838503028349304023988
Warning: 1812 overture "In Progress"
Content-Length: 0`),
  },
  {
    id: '3.1.2.6 quotbal',
    title: 'a quoted string without end',
    rfc: 'invalid: 400, or be lenient where the address can be found',
    answer: 488,
    why: 'lenient: the address can be found',
    bytes: withBody(`
INVITE sip:user@example.com SIP/2.0
To: "Mr. J. User <sip:j.user@example.com>
From: sip:caller@example.net;tag=93334
Max-Forwards: 10
Call-ID: quotbal.aksdj
Contact: <sip:caller@host59.example.net>
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.59:5050;branch=z9hG4bKkdjuw39234
Content-Type: application/sdp
Content-Length: LENGTH`),
  },
  {
    id: '3.1.2.7 ltgtruri',
    title: '<> around the Request-URI',
    rfc: 'invalid: 400, or be lenient',
    answer: 488,
    why: 'lenient: nothing is decided by the Request-URI',
    bytes: withBody(`
INVITE <sip:user@example.com> SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=39291
Max-Forwards: 23
Call-ID: ltgtruri.1@192.0.2.5
CSeq: 1 INVITE
Via: SIP/2.0/UDP 192.0.2.5
Contact: <sip:caller@host5.example.net>
Content-Type: application/sdp
Content-Length: LENGTH`),
  },
  {
    id: '3.1.2.8 lwsruri',
    title: 'white space within the Request-URI',
    rfc: 'invalid: 400',
    answer: 'none',
    why: 'no request line: nothing is answered that may be no SIP at all',
    bytes: withBody(`
INVITE sip:user@example.com; lr SIP/2.0
To: sip:user@example.com;tag=3xfe-9921883-z9f
From: sip:caller@example.net;tag=231413434
Max-Forwards: 5
Call-ID: lwsruri.asdfasdoeoi2323-asdfwrn23-asd834rk423
CSeq: 2130706432 INVITE
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKkdjuw2395
Contact: <sip:caller@host1.example.net>
Content-Type: application/sdp
Content-Length: LENGTH`),
  },
  {
    id: '3.1.2.9 lwsstart',
    title: 'several spaces in the request line',
    rfc: 'invalid: 400, or be lenient',
    answer: 488,
    why: 'lenient',
    bytes: withBody(`
INVITE  sip:user@example.com  SIP/2.0
Max-Forwards: 8
To: sip:user@example.com
From: sip:caller@example.net;tag=8814
Call-ID: lwsstart.dfknq234oi243099adsdfnawe3@example.com
CSeq: 1893884 INVITE
Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw3923
Contact: <sip:caller@host1.example.net>
Content-Type: application/sdp
Content-Length: LENGTH`),
  },
  {
    id: '3.1.2.10 trws',
    title: 'spaces at the end of the request line',
    rfc: 'invalid: 400, or be lenient',
    answer: 'none',
    why: 'no request line: nothing is answered that may be no SIP at all',
    bytes: bare(`
OPTIONS sip:remote-target@example.com SIP/2.0\u0020\u0020
Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK299342093
To: <sip:remote-target@example.com>
From: <sip:local-resource@example.com>;tag=329429089
Call-ID: trws.oicu34958239neffasdhr2345r
Accept: application/sdp
CSeq: 238923 OPTIONS
Max-Forwards: 70
Content-Length: 0`),
  },
  {
    id: '3.1.2.11 escruri',
    title: 'escaped headers in the Request-URI',
    rfc: 'invalid: 400, or ignore them',
    answer: 488,
    why: 'ignored: no header comes from the Request-URI',
    bytes: withBody(`
INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=341518
Max-Forwards: 7
Contact: <sip:caller@host39923.example.net>
Call-ID: escruri.23940-asdfhj-aje3br-234q098w-fawerh2q-h4n5
CSeq: 149209342 INVITE
Via: SIP/2.0/UDP host-of-the-hour.example.com;branch=z9hG4bKkdjuw
Content-Type: application/sdp
Content-Length: LENGTH`),
  },
  {
    id: '3.1.2.12 baddate',
    title: 'a date of another time zone',
    rfc: 'invalid, but a server may ignore Date',
    answer: 488,
    bytes: withBody(`
INVITE sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=2234923
Max-Forwards: 70
Call-ID: baddate.239423mnsadf3j23lj42--sedfnm234
CSeq: 1392934 INVITE
Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw
Date: Fri, 01 Jan 2010 16:00:00 EST
Contact: <sip:caller@host5.example.net>
Content-Type: application/sdp
Content-Length: LENGTH`),
  },
  {
    id: '3.1.2.13 regbadct',
    title: 'a Contact that needs <> and has none',
    rfc: 'invalid: 400, or take the parameters for those of the header',
    answer: 405,
    why: 'we are no registrar; the method says it before the Contact',
    bytes: bare(`
REGISTER sip:example.com SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=998332
Max-Forwards: 70
Call-ID: regbadct.k345asrl3fdbv@10.0.0.1
CSeq: 1 REGISTER
Via: SIP/2.0/UDP 135.180.130.133:5060;branch=z9hG4bKkdjuw
Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E
l: 0`),
  },
  {
    id: '3.1.2.14 badaspec',
    title: 'white space within an address',
    rfc: 'invalid: 400, or be lenient',
    answer: 200,
    why: 'lenient: the address can be read',
    bytes: bare(`
OPTIONS sip:user@example.org SIP/2.0
Via: SIP/2.0/UDP host4.example.com:5060;branch=z9hG4bKkdju43234
Max-Forwards: 70
From: "Bell, Alexander" <sip:a.g.bell@example.com>;tag=433423
To: "Watson, Thomas" < sip:t.watson@example.org >
Call-ID: badaspec.sdf0234n2nds0a099u23h3hnnw009cdkne3
Accept: application/sdp
CSeq: 3923239 OPTIONS
l: 0`),
  },
  {
    id: '3.1.2.15 baddn',
    title: 'a display name with characters that need quotes',
    rfc: 'invalid: 400, or be lenient',
    answer: 200,
    why: 'lenient: the address can be read',
    bytes: bare(`
OPTIONS sip:t.watson@example.org SIP/2.0
Via:     SIP/2.0/UDP c.example.com:5060;branch=z9hG4bKkdjuw
Max-Forwards:      70
From:    Bell, Alexander <sip:a.g.bell@example.com>;tag=43
To:      Watson, Thomas <sip:t.watson@example.org>
Call-ID: baddn.31415@c.example.com
Accept: application/sdp
CSeq:    3923239 OPTIONS
l: 0`),
  },
  {
    id: '3.1.2.16 badvers',
    title: 'an unknown version',
    rfc: 'invalid: 505',
    answer: 505,
    bytes: bare(`
OPTIONS sip:t.watson@example.org SIP/7.0
Via:     SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw
Max-Forwards:      70
From:    A. Bell <sip:a.g.bell@example.com>;tag=qweoiqpe
To:      T. Watson <sip:t.watson@example.org>
Call-ID: badvers.31417@c.example.com
CSeq:    1 OPTIONS
l: 0`),
  },
  {
    id: '3.1.2.17 mismatch01',
    title: 'CSeq names another method',
    rfc: 'invalid: 400',
    answer: 400,
    bytes: bare(`
OPTIONS sip:user@example.com SIP/2.0
To: sip:j.user@example.com
From: sip:caller@example.net;tag=34525
Max-Forwards: 6
Call-ID: mismatch01.dj0234sxdfl3
CSeq: 8 INVITE
Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw
l: 0`),
  },
  {
    id: '3.1.2.18 mismatch02',
    title: 'an unknown method, and CSeq names another',
    rfc: 'invalid: 400, or 501',
    answer: 400,
    bytes: bare(`
NEWMETHOD sip:user@example.com SIP/2.0
To: sip:j.user@example.com
From: sip:caller@example.net;tag=34525
Max-Forwards: 6
Call-ID: mismatch02.dj0234sxdfl3
CSeq: 8 INVITE
Contact: <sip:caller@host.example.net>
Via: SIP/2.0/UDP host.example.net;branch=z9hG4bKkdjuw
Content-Type: application/sdp
l: 0`),
  },
  {
    id: '3.1.2.19 bigcode',
    title: 'a status beyond its range',
    rfc: 'invalid response: dropped',
    answer: 'none',
    bytes: bare(`
SIP/2.0 4294967301 better not break the receiver
Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
Call-ID: bigcode.asdof3uj203asdnf3429uasdhfas3ehjasdfas9i
CSeq: 353494 INVITE
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Content-Length: 0
Contact: <sip:user@host105.example.com>`),
  },
  {
    id: '3.2.1 badbranch',
    title: 'a branch that is nothing but the magic cookie',
    rfc: 'valid: taken for a transaction of RFC 2543, or 400',
    answer: 200,
    bytes: bare(`
OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:caller@example.org;tag=33242
Max-Forwards: 3
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK
Accept: application/sdp
Call-ID: badbranch.sadonfo23i420jv0as0derf3j3n
CSeq: 8 OPTIONS
l: 0`),
  },
  {
    id: '3.3.1 insuf',
    title: 'required headers missing',
    rfc: 'invalid: 400',
    answer: 400,
    bytes: bare(`
INVITE sip:user@example.com SIP/2.0
CSeq: 193942 INVITE
Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf
Content-Type: application/sdp
l: 0`),
  },
  {
    id: '3.3.2 unkscm',
    title: 'a Request-URI of an unknown scheme',
    rfc: '416',
    answer: 200,
    why: 'nothing is decided by the Request-URI of OPTIONS',
    bytes: bare(`
OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=384
Max-Forwards: 3
Call-ID: unkscm.nasdfasser0q239nwsdfasdkl34
CSeq: 3923423 OPTIONS
Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234
Content-Length: 0`),
  },
  {
    id: '3.3.3 novelsc',
    title: 'a Request-URI of a known scheme that is not SIP',
    rfc: '416',
    answer: 200,
    why: 'nothing is decided by the Request-URI of OPTIONS',
    bytes: bare(`
OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=384
Max-Forwards: 3
Call-ID: novelsc.asdfasser0q239nwsdfasdkl34
CSeq: 3923423 OPTIONS
Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234
Content-Length: 0`),
  },
  {
    id: '3.3.4 unksm2',
    title: 'unknown schemes in other headers',
    rfc: 'REGISTER: 400; other requests: valid',
    answer: 405,
    why: 'we are no registrar',
    bytes: bare(`
REGISTER sip:example.com SIP/2.0
To: isbn:2983792873
From: <http://www.example.com>;tag=3234233
Call-ID: unksm2.daksdj@hyphenated-host.example.com
CSeq: 234902 REGISTER
Max-Forwards: 70
Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKkdjuw
Contact: <name:John_Smith>
l: 0`),
  },
  {
    id: '3.3.5 bext01',
    title: 'Require and Proxy-Require of the unknown',
    rfc: '420 with Unsupported',
    answer: 200,
    why: 'OPTIONS asks what we are; drachtio-server leaves Require to the application, which looks at it where it matters',
    bytes: bare(`
OPTIONS sip:user@example.com SIP/2.0
To: sip:j_user@example.com
From: sip:caller@example.net;tag=242etr
Max-Forwards: 6
Call-ID: bext01.0ha0isndaksdj
Require: nothingSupportsThis, nothingSupportsThisEither
Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis
CSeq: 8 OPTIONS
Via: SIP/2.0/TLS fold-and-staple.example.com;branch=z9hG4bKkdjuw
Content-Length: 0`),
  },
  {
    id: '3.3.6 invut',
    title: 'an unknown Content-Type',
    rfc: '415 with Accept',
    answer: 415,
    bytes: withBody(
      `
INVITE sip:user@example.com SIP/2.0
Contact: <sip:caller@host5.example.net>
To: sip:j.user@example.com
From: sip:caller@example.net;tag=8392034
Max-Forwards: 70
Call-ID: invut.0ha0isndaksdjadsfij34n23d
CSeq: 235448 INVITE
Via: SIP/2.0/UDP somehost.example.com;branch=z9hG4bKkdjuw
Content-Type: application/unknownformat
Content-Length: LENGTH`,
      '<audio>\n <pcmu port="443"/>\n</audio>',
    ),
  },
  {
    id: '3.3.7 regaut01',
    title: 'an unknown authorization scheme',
    rfc: 'valid: taken for none',
    answer: 405,
    why: 'we are no registrar',
    bytes: bare(`
REGISTER sip:example.com SIP/2.0
To: sip:j.user@example.com
From: sip:j.user@example.com;tag=87321hj23128
Max-Forwards: 8
Call-ID: regaut01.0ha0isndaksdj
CSeq: 9338 REGISTER
Via: SIP/2.0/TCP 192.0.2.253;branch=z9hG4bKkdjuw
Authorization: NoOneKnowsThisScheme opaque-data=here
Content-Length:0`),
  },
  {
    id: '3.3.8 multi01',
    title: 'several values where one is allowed',
    rfc: 'invalid: 400',
    answer: 400,
    bytes: withBody(`
INVITE sip:user@company.com SIP/2.0
Contact: <sip:caller@host25.example.net>
Via: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKkdjuw
Max-Forwards: 70
CSeq: 5 INVITE
Call-ID: multi01.98asdh@192.0.2.1
CSeq: 59 INVITE
Call-ID: multi01.98asdh@192.0.2.2
From: sip:caller@example.com;tag=3413415
To: sip:user@example.com
To: sip:other@example.net
From: sip:caller@example.net;tag=2923420123
Content-Type: application/sdp
l: LENGTH
Contact: <sip:caller@host36.example.net>
Max-Forwards: 5`),
  },
  {
    id: '3.3.9 mcl01',
    title: 'two different Content-Lengths',
    rfc: 'invalid: 400',
    answer: 400,
    bytes: sip(`
OPTIONS sip:user@example.com SIP/2.0
Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bK293423
To: sip:user@example.com
From: sip:other@example.net;tag=3923942
Call-ID: mcl01.fhn2323orihawfdoa3o4r52o3irsdf
CSeq: 15932 OPTIONS
Content-Length: 13
Max-Forwards: 60
Content-Length: 5
Content-Type: text/plain

There's no way to know how many octets are supposed to be here.
`),
  },
  {
    id: '3.3.10 bcast',
    title: 'a response whose Via is a broadcast address',
    rfc: 'dropped: the top Via is not ours',
    answer: 'none',
    bytes: bare(`
SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23
Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
Content-Length: 0
Contact: <sip:user@host28.example.com>`),
  },
  {
    id: '3.3.11 zeromf',
    title: 'Max-Forwards of zero',
    rfc: 'a server that it reaches answers it',
    answer: 200,
    bytes: bare(`
OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=3ghsd41
Call-ID: zeromf.jfasdlfnm2o2l43r5u0asdfas
CSeq: 39234321 OPTIONS
Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw2349i
Max-Forwards: 0
Content-Length: 0`),
  },
  ...(
    [
      [
        '3.3.12 cparam01',
        'a Contact parameter in REGISTER',
        '<sip:+19725552222@gw1.example.net>;unknownparam',
      ],
      ['3.3.13 cparam02', 'a URI parameter in REGISTER', '<sip:+19725552222@gw1.example.net;unknownparam>'],
      [
        '3.3.14 regescrt',
        'an escaped header in REGISTER',
        '<sip:user@example.com?Route=%3Csip:sip.example.com%3E>',
      ],
    ] as const
  ).map(([id, title, contact]): TortureMessage => ({
    id,
    title,
    rfc: 'valid REGISTER',
    answer: 405,
    why: 'we are no registrar',
    bytes: bare(`
REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw
Max-Forwards: 70
From: sip:watson@example.com;tag=DkfVgjkrtMwaerKKpe
To: sip:watson@example.com
Call-ID: ${id.split(' ')[1]!}.70710@saturn.example.com
CSeq: 2 REGISTER
Contact: ${contact}
l: 0`),
  })),
  {
    id: '3.3.15 sdp01',
    title: 'an Accept that excludes what we would answer with',
    rfc: '406, or be lenient',
    answer: 488,
    why: 'Accept is not looked at: whoever offers SDP takes SDP',
    bytes: withBody(`
INVITE sip:user@example.com SIP/2.0
To: sip:j_user@example.com
Contact: <sip:caller@host15.example.net>
From: sip:caller@example.net;tag=234
Max-Forwards: 5
Call-ID: sdp01.ndaksdj9342dasdd
Accept: text/nobodyKnowsThis
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw
Content-Length: LENGTH
Content-Type: application/sdp`),
  },
  {
    id: '3.4.1 inv2543',
    title: 'an INVITE of RFC 2543',
    rfc: 'valid: no tag, no branch, no Contact, no Max-Forwards',
    answer: 400,
    why: 'without a Contact no dialog can be formed (RFC 3261 §8.1.1.8)',
    bytes: withBody(`
INVITE sip:UserB@example.com SIP/2.0
Via: SIP/2.0/UDP iftgw.example.com
From: <sip:+13035551111@ift.client.example.net;user=phone>
Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>
To: sip:+16505552222@ss1.example.net;user=phone
Call-ID: inv2543.1717@ift.client.example.com
CSeq: 56 INVITE
Content-Type: application/sdp
Content-Length: LENGTH`),
  },
];
