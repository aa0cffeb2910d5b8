<?php // A PHP program: arrays, strings, objects in cycles, regular expressions, JSON, generators, exceptions.
class Node
{
    public ?Node $other = null;
    public function __construct(public string $text, public array $data) {}
}

$seed = 7;
function draw(int $n): int
{
    global $seed;
    return ($seed = ($seed * 1103515245 + 12345) % 2147483648) % $n;
}

$words = [];
for ($i = 0; $i < 60000; $i++) {
    $w = substr(md5((string) draw(3000)), 0, 1 + $i % 5);
    $words[$w][] = $i;
}
uksort($words, fn($a, $b) => count($words[$b]) <=> count($words[$a]) ?: strcmp($a, $b));
echo count($words), ' ', implode(' ', array_slice(array_keys($words), 0, 10)), "\n";
$text = implode(',', array_map(fn($w, $p) => "$w=" . array_sum($p), array_keys($words), $words));
echo strlen($text), ' ', md5($text), ' ', preg_match_all('/\b([0-9a-f])\w*\1=/', $text), "\n";
echo md5(preg_replace_callback('/(\w+)=(\d+)/', fn($m) => strrev($m[2]) . $m[1], $text)), "\n";
for ($i = 0; $i < 20000; $i++) {
    $a = new Node(str_repeat('x', draw(200)), range(0, draw(20)));
    $b = new Node('b', [$a]);
    $a->other = $b;
    $b->other = $a;
}
echo gc_collect_cycles() > 0 ? "cycles collected\n" : "no cycles\n";
$json = json_encode($words);
echo strlen($json), ' ', json_decode($json, true) === $words ? 'same' : 'different', "\n";
function walk(int $n)
{
    for ($i = 0; $i < $n; $i++) {
        yield $i => str_repeat('y', $i % 100);
    }
}
$sum = 0;
foreach (walk(50000) as $k => $v) {
    $sum += $k + strlen($v);
}
echo $sum, "\n";
try {
    array_map(fn($x) => intdiv(1, $x), [1, 0]);
} catch (DivisionByZeroError $e) {
    echo get_class($e), "\n";
}
echo serialize(unserialize(serialize([1, 'a' => [true, null, 2.5]]))), "\n";
