# A Perl program: hashes of arrays, long strings, regular expressions, sorting, closures, fork and pipes.
use strict;
use warnings;
use List::Util qw(sum reduce);
use Digest::SHA qw(sha1_hex);

my $amount = shift // 20000;
my $seed   = 7;
sub draw { $seed = ($seed * 1103515245 + 12345) % 2147483648; return int($seed / 65536) % $_[0] }

my (%places, @lines);
for my $n (1 .. $amount) {
    my $line = join ' ', map { join '', map { chr(97 + draw(26)) } 0 .. draw(5) } 1 .. 8;
    push @lines, $line;
    push @{ $places{$_} }, $n for split / /, $line;
}
my @ranked = sort { @{ $places{$b} } <=> @{ $places{$a} } || $a cmp $b } keys %places;
printf "%d words, first: %s\n", scalar(@ranked), join ' ', map { "$_=" . @{ $places{$_} } } @ranked[0 .. 9];

my $text = join "\n", @lines;
my $hits = () = $text =~ /\b([a-z])\w*\1\b/g;
(my $changed = $text) =~ s/(\w+) (\w+)/$2-\U$1/g;
print "$hits words end as they begin; ", length($changed), " ", sha1_hex($changed), "\n";
printf "%s\n", sha1_hex(join ',', map { scalar reverse } reverse sort @lines);

my @closures = map { my $n = $_; my @kept = (1 .. $n % 40); sub { $n * $_[0] + @kept } } 1 .. 5000;
print sum(map { $_->(3) } @closures), "\n";

delete @places{ grep { length > 3 } keys %places };
my $cycle = {};
for (1 .. 1000) { my $c = { next => $cycle, data => "x" x draw(2000) }; $cycle = $c }
my $depth = 0;
for (my $c = $cycle; $c->{next}; $c = $c->{next}) { $depth++ }
print "$depth deep, ", scalar(keys %places), " short words\n";

for my $child (1 .. 20) {
    pipe(my $in, my $out) or die;
    defined(my $pid = fork) or die;
    if (!$pid) { close $in; print $out sha1_hex("@lines[0 .. 99] $child"); close $out; exit $child }
    close $out;
    my $said = <$in>;
    waitpid $pid, 0;
    print "child $child: $said ", $? >> 8, "\n";
}
my $r = eval { die { code => 42, why => "as asked" } };
print "caught $@->{code}\n";
local $_ = "a" x 200000;
print tr/a/b/, " ", length(sprintf "%-300000s|", $_), "\n";
