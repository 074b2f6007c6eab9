#!/usr/bin/perl
#SBATCH -J perl -t 1
use strict;
print "hello\n";
