# What a Perl program does all day: split lines, hashes of arrays, strings put together, substitutions, sorting.
use strict;
use warnings;

my $state = 12345;
sub number { $state = ($state * 1103515245 + 12345) % 2147483648; return $state >> 8; }

my (%by_user, %seen);
for my $i (1 .. 190_000) {
    my $line = join ' ', 'user' . number() % 5000, 'GET', '/page/' . number() % 900 . '.html', number() % 100_000;
    my ($user, $verb, $page, $size) = split / /, $line;
    push @{ $by_user{$user} }, { page => $page, size => $size };
    (my $key = "$verb:$page:$i") =~ s/(\d+)\.html/<$1>/;
    $seen{$key} = $size;
    delete $by_user{ 'user' . number() % 5000 } if $i % 40 == 0;
}
my $report = '';
for my $user (sort keys %by_user) {
    my @pages = sort { $a->{page} cmp $b->{page} || $a->{size} <=> $b->{size} } @{ $by_user{$user} };
    $report .= "$user " . join(',', map { "$_->{page}=$_->{size}" } @pages) . "\n";
}
print $report;
print scalar(keys %seen), "\n";
