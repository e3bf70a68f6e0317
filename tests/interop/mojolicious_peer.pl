# Mojolicious: perl mojolicious_peer.pl client URL | server
#
# The conversation and the environment are those of `conversation.py`.
use Mojo::Base -strict, -signatures;
use Mojo::IOLoop;
use Mojo::JSON qw(encode_json);
use Mojo::Server::Daemon;
use Mojo::UserAgent;
use Mojo::Util      qw(encode);
use Mojo::WebSocket qw(WS_BINARY WS_CONTINUATION WS_PING WS_PONG WS_TEXT);

my $EXTENSIONS = $ENV{EXTENSIONS} // '';
my @SIZES      = (0, 1, 125, 126, 65535, 65536, 1 << 20);
my $LARGEST    = 16 << 20;

# Received and not yet compared: pairs of a kind and bytes (or a close code).
my @received;
my $tx;

sub adopt ($connected) {
  $tx = $connected->max_websocket_size($LARGEST);
  $tx->on(text   => sub ($tx, $bytes) { push @received, [text   => $bytes] });
  $tx->on(binary => sub ($tx, $bytes) { push @received, [binary => $bytes] });
  $tx->on(frame => sub ($tx, $frame) { push @received, [pong => $frame->[5]] if $frame->[4] == WS_PONG });
  $tx->on(finish => sub ($tx, $code, $reason) { push @received, [closed => $code] });
}

sub receive () {
  Mojo::IOLoop->one_tick until @received;
  return @{shift @received};
}

sub expect ($kind, $bytes) {
  my ($found, $data) = receive;
  if ($found eq 'closed' && $kind ne 'closed') {
    exit 0 if $data == ($ENV{CLOSED} // 0);
    die "closed with code $data\n";
  }
  die "$found came, not $kind\n" if $found ne $kind;
  return if $data eq $bytes;
  die $kind eq 'closed' ? "closed with code $data\n" : "the $kind that came back differs: @{[length $data]} bytes\n";
}

# Sends one message in fragments, without compression.
sub fragments ($op, @parts) {
  for my $i (0 .. $#parts) {
    $tx->send([$i == $#parts ? 1 : 0, 0, 0, 0, $i ? WS_CONTINUATION : $op, $parts[$i]]);
  }
}

sub ping () {
  $tx->send([1, 0, 0, 0, WS_PING, 'are you there?']);
  expect(pong => 'are you there?');
}

sub echo ($kind, $bytes) {
  $tx->send({$kind => $bytes});
  expect($kind => $bytes);
}

sub text ($n) { encode_json([map { {id => $_, name => "user $_", text => "h\x{e9}llo \x{20ac}"} } 0 .. $n - 1]) }

sub converse () {
  echo(text => encode 'UTF-8', "h\x{e9}llo \x{20ac}");
  for my $size (@SIZES) {
    echo(binary => substr pack('C*', map { $_ * 31 & 0xff } 0 .. 255) x ($size / 256 + 1), 0, $size);
    echo(text => 'x' x $size);
  }
  echo(text => text $_) for 1, 40, 40, 300;
  srand 1;
  my $noise = pack 'C*', map { int rand 256 } 1 .. 70000;
  echo(binary => $noise) for 1, 2;
  fragments(WS_TEXT, 'frag', '', 'ments', ' ', split //, encode 'UTF-8', "\x{20ac}");
  expect(text => encode 'UTF-8', "fragments \x{20ac}");
  fragments(WS_BINARY, "\0" x 1000, "\1\2" x 1000);
  expect(binary => "\0" x 1000 . "\1\2" x 1000);
  ping;
  $tx->finish(1000 => 'done');
  expect(closed => 1000);
  die "the conversation was not broken off\n" if $ENV{CLOSED};
}

sub answer () {
  while (1) {
    my ($kind, $bytes) = receive;
    last if $kind eq 'closed' && $bytes == 1000;
    die "$kind came\n" if $kind ne 'text';
    ping;
    $tx->send({text => $bytes});
    fragments(WS_TEXT, $bytes, '', '!');
    $tx->send({binary => $bytes});
  }
}

sub agreed () {
  my $extensions = $tx->res->headers->sec_websocket_extensions // '';
  die "the extensions are: $extensions\n" if $extensions ne $EXTENSIONS;
}

sub client ($url) {
  my $failed;
  my $headers = $EXTENSIONS ? {'Sec-WebSocket-Extensions' => 'permessage-deflate'} : {};
  my $agent   = Mojo::UserAgent->new(inactivity_timeout => 60);
  $agent->websocket_p($url => $headers)->then(\&adopt)->catch(sub ($error) { $failed = $error });
  Mojo::IOLoop->one_tick until $tx || $failed;
  die "$failed\n" if $failed;
  agreed;
  converse;
}

sub server () {
  my $daemon = Mojo::Server::Daemon->new(listen => ['http://127.0.0.1'], silent => 1);
  $daemon->unsubscribe('request')->on(request => sub ($daemon, $connection) {
    $connection->with_compression if $EXTENSIONS;
    adopt($connection);
    $connection->res->code(101);
    $connection->resume;
  });
  $daemon->start;
  local $| = 1;
  print "listening on ws://127.0.0.1:@{[$daemon->ports->[0]]}/chat\n";
  Mojo::IOLoop->one_tick until $tx;
  agreed;
  answer;
}

my ($role, @arguments) = @ARGV;
$role eq 'client' ? client(@arguments) : server;
